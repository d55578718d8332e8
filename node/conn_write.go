package node

import "github.com/stoa-io/stoa/wire"

// writeBufferSize is how much one write takes when several frames leave together.
const writeBufferSize = 64 << 10

// entryOverhead is what an entry of a queue costs beside its frame, in bytes.
const entryOverhead = 40

// queue is what waits to be written to one connection: control frames, answers
// and deliveries in one order. A connection has one only while something waits.
type queue struct {
	entries   []entry
	next      int // entries before it are written
	offset    int // bytes of entries[next] that are written
	bytes     int // what waits, overhead included
	blocked   bool
	blockedAt uint32 // since when the socket takes nothing
}

// entry is one or more whole frames in one piece, shared and immutable.
type entry struct {
	data   []byte
	frames int
}

// enqueue appends frames to what waits for the connection. data must not change
// any more. It is written at the end of the turn.
func (c *conn) enqueue(data []byte, frames int) {
	l := c.loop
	if c.state == connGone {
		return
	}
	q := c.out
	if q == nil {
		q = l.newQueue()
		c.out = q
	}
	q.entries = append(q.entries, entry{data, frames})
	size := len(data) + entryOverhead
	q.bytes += size
	l.stats.QueueBytes += size
	if !q.blocked && c.flags&flagDirty == 0 {
		c.flags |= flagDirty
		l.dirty = append(l.dirty, c)
	}
	if limit := l.limits.Queue; limit > 0 && q.bytes > limit && c.state == connOpen {
		c.onSlow()
	}
}

// onSlow closes a connection whose peer does not read. What waits is dropped,
// but for a frame that is written in part.
func (c *conn) onSlow() {
	q := c.out
	first := q.next
	if q.offset > 0 {
		first++
	}
	for i := first; i < len(q.entries); i++ {
		size := len(q.entries[i].data) + entryOverhead
		q.bytes -= size
		c.loop.stats.QueueBytes -= size
		c.loop.stats.DroppedFrames += uint64(q.entries[i].frames)
	}
	clear(q.entries[first:])
	q.entries = q.entries[:first]
	c.closeWith(wire.CodeSlowConsumer, "slow consumer")
}

// onWritable goes on writing after the socket was full.
func (c *conn) onWritable() {
	if c.out != nil && c.out.blocked {
		c.out.blocked = false
		c.flush()
	} else if c.out == nil {
		c.written()
	}
}

// flush writes what waits until it is written or the socket is full. Frames that
// wait together leave in one system call.
func (c *conn) flush() {
	q := c.out
	if q == nil || q.blocked {
		return
	}
	for q.next < len(q.entries) {
		data, frames := c.gather()
		n, err := c.send(data)
		if err != nil && err != errAgain {
			c.writeFailed(err)
			return
		}
		c.loop.stats.BytesOut += uint64(n)
		if n > 0 && frames > 0 { // what answers an HTTP request is no frame
			c.loop.stats.FramesPerWrite.observe(&FramesPerWriteBounds, float64(frames))
		}
		c.advance(n)
		if n < len(data) {
			if !q.blocked {
				q.blocked = true
				q.blockedAt = c.loop.now
			}
			return
		}
	}
	c.out = nil
	c.loop.freeQueue(q)
	c.written()
}

// gather returns the next bytes to write: the only entry as it is, or several
// copied into one piece, which for frames of some hundred bytes costs less than
// writev.
func (c *conn) gather() (data []byte, frames int) {
	q := c.out
	first := q.entries[q.next]
	if q.next+1 == len(q.entries) || len(first.data)-q.offset >= writeBufferSize/2 {
		return first.data[q.offset:], first.frames
	}
	buffer := append(c.loop.writeBuffer[:0], first.data[q.offset:]...)
	frames = first.frames
	for _, e := range q.entries[q.next+1:] {
		if len(buffer)+len(e.data) > writeBufferSize {
			break
		}
		buffer = append(buffer, e.data...)
		frames += e.frames
	}
	return buffer, frames
}

// advance forgets n bytes that were written.
func (c *conn) advance(n int) {
	q := c.out
	for n > 0 {
		e := &q.entries[q.next]
		left := len(e.data) - q.offset
		if n < left {
			q.offset += n
			return
		}
		n -= left
		size := len(e.data) + entryOverhead
		q.bytes -= size
		c.loop.stats.QueueBytes -= size
		*e = entry{}
		q.next++
		q.offset = 0
	}
}

func (c *conn) writeFailed(err error) {
	c.loop.logDebug("write failed", c, logError, err)
	if c.state == connOpen {
		c.destroy(wire.CodeAbnormal, ByPeer)
		return
	}
	c.destroy(c.closeCode, c.closeBy)
}

// written is called when nothing waits any more.
func (c *conn) written() {
	if c.stream != nil && c.stream.writing {
		return
	}
	switch {
	case c.flags&flagFinishing != 0:
		c.destroy(c.closeCode, c.closeBy)
	case c.flags&flagHalfClose != 0:
		c.flags &^= flagHalfClose
		if c.stream != nil {
			c.stream.closeWrite()
		} else {
			shutdownSocketWrite(int(c.fd))
		}
	}
}

// maxIdleQueues and maxIdleEntries bound what a loop keeps for reuse.
const (
	maxIdleQueues  = 4096
	maxIdleEntries = 128
)

func (l *loop) newQueue() *queue {
	if n := len(l.queues); n > 0 {
		q := l.queues[n-1]
		l.queues = l.queues[:n-1]
		return q
	}
	return new(queue)
}

func (l *loop) freeQueue(q *queue) {
	if len(l.queues) < maxIdleQueues && cap(q.entries) <= maxIdleEntries {
		*q = queue{entries: q.entries[:0]}
		l.queues = append(l.queues, q)
	}
}
