package engine

import (
	"github.com/stoa-io/stoa/internal/closecode"
	"github.com/stoa-io/stoa/internal/netpoll"
)

// writeBufferSize is how much one write takes when several frames leave
// together.
const writeBufferSize = 64 << 10

// entryOverhead is the cost of an entry of a send queue in addition to its
// frame, in bytes.
const entryOverhead = 40

// sendQueue holds the frames that are to be written to one connection: control
// frames, answers and deliveries in one order. A connection has one only while
// it is not empty.
type sendQueue struct {
	entries   []entry
	next      int // entries before it are written
	offset    int // bytes of entries[next] that are written
	bytes     int // of the rest, overhead included
	written   int // bytes taken by the socket
	blocked   bool
	stalled   bool   // the socket was full at the last attempt
	volatile  bool   // an entry is, or was since the queue was last empty
	blockedAt uint32 // since when the socket takes nothing
}

// entry is one or more whole frames in one piece, or a part of a frame. The
// data is immutable and may be shared.
type entry struct {
	data     []byte
	frames   int32
	rest     bool // of the frame that the entry before has begun
	volatile bool // is dropped before the send queue exceeds its limit
}

// Send appends frames to the send queue, which is written at the end of the
// turn. It takes ownership of data, which must not change any more and may be
// shared with other connections. frames is 0 for bytes that are no frame.
func (c *Conn) Send(data []byte, frames int) {
	if c.state != connGone {
		c.enqueue(entry{data: data, frames: int32(frames)})
		c.checkSendQueue()
	}
}

// SendParts is Send of one frame in two parts, of which the second may be
// shared.
func (c *Conn) SendParts(start, rest []byte) {
	if c.state != connGone {
		c.enqueue(entry{data: start, frames: 1})
		c.enqueue(entry{data: rest, rest: true})
		c.checkSendQueue()
	}
}

// volatileQueue is how many bytes may wait in a send queue, overhead included,
// for a volatile frame to enter it: little next to what the system queues for a
// socket, and more than passes through the queue of a client that keeps up,
// also while the blocking transport hands a write to its goroutine.
const volatileQueue = 16 << 10

// Offer is Send for frames that are worth nothing when they are late. It drops
// them, and returns false, while the socket leaves more than volatileQueue
// bytes. They never count against the connection.
func (c *Conn) Offer(data []byte, frames int) (taken bool) {
	if q := c.out; q != nil && q.bytes > volatileQueue {
		c.flush() // bytes that it was not offered yet do not count
	}
	if c.state != connOpen {
		return false
	}
	if c.out != nil && c.out.bytes > volatileQueue {
		c.loop.stats.VolatileDropped += uint64(frames)
		return false
	}
	c.enqueue(entry{data: data, frames: int32(frames), volatile: true})
	c.out.volatile = true
	return true
}

// dropVolatile removes the volatile frames from the send queue, but for those
// of an entry that is written in part. It returns the size of that entry.
func (c *Conn) dropVolatile() (rest int) {
	q := c.out
	first := q.next
	if q.offset > 0 {
		first++
	}
	if q.volatile = first > q.next && q.entries[q.next].volatile; q.volatile {
		rest = len(q.entries[q.next].data) + entryOverhead
	}
	kept := q.entries[:first]
	for _, e := range q.entries[first:] {
		if !e.volatile {
			kept = append(kept, e)
			continue
		}
		size := len(e.data) + entryOverhead
		q.bytes -= size
		c.loop.stats.QueueBytes -= size
		c.loop.stats.VolatileDropped += uint64(e.frames)
	}
	clear(q.entries[len(kept):])
	q.entries = kept
	return rest
}

// isVolatile reports whether nothing but volatile frames waits.
func (q *sendQueue) isVolatile() bool {
	if !q.volatile {
		return false
	}
	for i := q.next; i < len(q.entries); i++ {
		if !q.entries[i].volatile {
			return false
		}
	}
	return true
}

func (c *Conn) enqueue(e entry) {
	l := c.loop
	q := c.out
	if q == nil {
		q = l.newQueue()
		c.out = q
	}
	q.entries = append(q.entries, e)
	size := len(e.data) + entryOverhead
	q.bytes += size
	l.stats.QueueBytes += size
	if !q.blocked && c.flags&flagDirty == 0 {
		c.flags |= flagDirty
		l.dirty = append(l.dirty, c)
	}
}

func (c *Conn) checkSendQueue() {
	if limit := c.loop.limits.SendQueue; limit > 0 && c.out.bytes > limit && c.state == connOpen {
		c.overLimit()
	}
}

// overLimit offers the send queue to the socket at once. Only bytes that the
// socket does not take count against the connection: a burst is not slowness.
func (c *Conn) overLimit() {
	c.flush()
	late := 0
	if c.out != nil && c.out.volatile {
		late = c.dropVolatile()
	}
	if c.out == nil || c.out.bytes-late <= c.loop.limits.SendQueue || c.state != connOpen {
		return
	}
	c.flags |= flagOver
	c.handler.Slow()
}

// QueuedBytes is the size of the send queue, overhead included.
func (c *Conn) QueuedBytes() int {
	if c.out == nil {
		return 0
	}
	return c.out.bytes
}

// WrittenBytes counts the bytes of the send queue that the socket has taken
// since the queue was last empty.
func (c *Conn) WrittenBytes() int {
	if c.out == nil {
		return 0
	}
	return c.out.written
}

// IsOver reports whether the send queue has exceeded its limit and is not half
// empty yet.
func (c *Conn) IsOver() bool { return c.flags&flagOver != 0 }

// easeIfDrained tells the owner in the next turn that the send queue is half
// empty again.
func (c *Conn) easeIfDrained() {
	if c.flags&flagOver != 0 && c.QueuedBytes() <= c.loop.limits.SendQueue/2 {
		c.flags &^= flagOver
		c.loop.eased = append(c.loop.eased, c)
	}
}

// DropUnsent removes everything from the send queue but a frame that is written
// in part. It counts the dropped frames.
func (c *Conn) DropUnsent() {
	q := c.out
	if q == nil {
		return
	}
	first := q.next
	if q.offset > 0 {
		first++
	}
	if first < len(q.entries) && q.entries[first].rest {
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
}

// onWritable continues writing after the socket was full.
func (c *Conn) onWritable() {
	if c.out != nil && c.out.blocked {
		c.out.blocked = false
		c.flush()
	} else if c.out == nil {
		c.written()
	}
}

// flush writes the send queue until it is empty or the socket is full. Queued
// frames leave together in one system call.
func (c *Conn) flush() {
	q := c.out
	if q == nil || q.blocked {
		return
	}
	for q.next < len(q.entries) {
		data, frames := c.gather()
		n, err := c.send(data)
		if err != nil && err != netpoll.ErrAgain {
			c.writeFailed(err)
			return
		}
		c.loop.stats.BytesOut += uint64(n)
		if n > 0 && frames > 0 { // the answer to an HTTP request is no frame
			c.loop.stats.FramesPerWrite.observe(&framesPerWriteBounds, float64(frames))
		}
		c.advance(n)
		if n > 0 {
			q.written += n
			c.onWriteProgress(q)
		}
		if n < len(data) {
			if !q.blocked {
				q.blocked, q.stalled = true, true
				q.blockedAt = c.loop.now
				c.noteBlocked()
			}
			c.easeIfDrained()
			return
		}
	}
	c.out = nil
	c.easeIfDrained()
	c.loop.freeQueue(q)
	c.written()
}

// onWriteProgress takes bytes that a full socket accepts for a sign of life:
// the peer has read earlier ones. An outstanding ping is still behind them.
func (c *Conn) onWriteProgress(q *sendQueue) {
	if q.stalled {
		q.stalled = false
		c.lastRead = c.loop.now
		c.flags &^= flagPinged
	}
}

// gather returns the next bytes to write: the only entry unchanged, or several
// copied into one piece, which for frames of some hundred bytes costs less than
// writev.
func (c *Conn) gather() (data []byte, frames int) {
	q := c.out
	first := q.entries[q.next]
	if q.next+1 == len(q.entries) || len(first.data)-q.offset >= writeBufferSize/2 {
		return first.data[q.offset:], int(first.frames)
	}
	buffer := append(c.loop.writeBuffer[:0], first.data[q.offset:]...)
	frames = int(first.frames)
	for _, e := range q.entries[q.next+1:] {
		if len(buffer)+len(e.data) > writeBufferSize {
			break
		}
		buffer = append(buffer, e.data...)
		frames += int(e.frames)
	}
	return buffer, frames
}

// advance removes n written bytes from the queue.
func (c *Conn) advance(n int) {
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

func (c *Conn) writeFailed(err error) {
	c.loop.logDebug("write failed", c, logError, err)
	if c.state == connOpen {
		c.destroy(closecode.Abnormal, ByPeer)
		return
	}
	c.destroy(c.closeCode, c.closeBy)
}

// written is called when the send queue is empty.
func (c *Conn) written() {
	if c.blocking != nil && c.blocking.writing {
		return
	}
	switch {
	case c.flags&flagFinishing != 0:
		c.destroy(c.closeCode, c.closeBy)
	case c.flags&flagHalfClose != 0:
		c.flags &^= flagHalfClose
		if c.blocking != nil {
			c.blocking.closeWrite()
		} else {
			netpoll.CloseWrite(int(c.fd))
		}
	}
}

// unsent reports whether bytes are still to be written.
func (c *Conn) unsent() bool { return c.out != nil || c.blocking != nil && c.blocking.writing }

// maxIdleQueues and maxIdleEntries bound the queues that a loop keeps for
// reuse.
const (
	maxIdleQueues  = 4096
	maxIdleEntries = 128
)

func (l *Loop) newQueue() *sendQueue {
	if n := len(l.queues); n > 0 {
		q := l.queues[n-1]
		l.queues[n-1] = nil // the pool must not keep a queue in use
		l.queues = l.queues[:n-1]
		return q
	}
	return new(sendQueue)
}

func (l *Loop) freeQueue(q *sendQueue) {
	if len(l.queues) < maxIdleQueues && cap(q.entries) <= maxIdleEntries {
		*q = sendQueue{entries: q.entries[:0]}
		l.queues = append(l.queues, q)
	}
}
