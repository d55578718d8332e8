package cluster

import (
	"sync"
	"time"
)

const (
	// One pipeline holds at most this much, so that a failure repeats little, other
	// clients of the server get their turn, and the receivers' windows are enough.
	maxPipeline      = 512
	maxPipelineBytes = 256 << 10

	// chunkBytes is how much memory is taken at a time for encoded messages. Longer
	// messages than a quarter of it have memory of their own.
	chunkBytes     = 64 << 10
	maxSharedBytes = chunkBytes / 4
	maxFreeChunks  = 16

	// queuedOverhead is what an entry takes beside its bytes.
	queuedOverhead = 112
)

// queued is a message that waits to be published, or to be acknowledged.
type queued struct {
	channel wireBytes // with the cluster's prefix
	payload wireBytes // the encoded envelope
	chunk   *chunk    // where both are; nil if they have their own memory
	since   time.Duration
	own     bool                       // the broker's own: Close does not wait for it
	done    func(nodes int, err error) // nil: nobody asks
}

func (q *queued) size() int { return len(q.channel) + len(q.payload) + queuedOverhead }

// wireBytes is an argument of a command that go-redis takes by pointer, without
// allocating.
type wireBytes []byte

// MarshalBinary implements encoding.BinaryMarshaler.
func (w *wireBytes) MarshalBinary() ([]byte, error) { return *w, nil }

// chunk is memory for the bytes of several messages.
type chunk struct {
	buffer []byte
	used   int // messages in it
}

// publishQueue is the queue of one server, safe for concurrent use. What peek
// returned stays in it until pop.
type publishQueue struct {
	wake chan struct{} // capacity 1: something was put into it

	mu      sync.Mutex // guards the rest
	stamp   stamp      // of the next message
	prefix  string
	closed  bool
	entries []queued // those before head are gone
	head    int
	bytes   int
	foreign int // messages that are not the broker's own
	current *chunk
	free    []*chunk
	drained chan struct{} // closed when foreign is 0, if somebody waits for that
}

func newPublishQueue(prefix string, s stamp) *publishQueue {
	return &publishQueue{wake: make(chan struct{}, 1), prefix: prefix, stamp: s}
}

// push adds a message and returns the bytes that it takes and its number.
func (q *publishQueue) push(channel string, env *Envelope, internal bool, now time.Duration,
	done func(int, error),
) (size int, number uint64, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, 0, ErrClosed
	}
	q.stamp.number++
	q.stamp.internal = internal
	e := queued{since: now, own: internal, done: done}
	if !internal {
		q.foreign++
	}
	nameBytes := len(q.prefix) + len(channel)
	buffer := q.reserve(&e, nameBytes+envelopeSize(&q.stamp, env))
	start := len(buffer)
	buffer = append(append(buffer, q.prefix...), channel...)
	buffer = appendEnvelope(buffer, &q.stamp, env)
	e.channel = buffer[start : start+nameBytes : start+nameBytes]
	e.payload = buffer[start+nameBytes : len(buffer) : len(buffer)]
	if e.chunk != nil {
		e.chunk.buffer = buffer
	}
	q.entries = append(q.entries, e)
	size = e.size()
	q.bytes += size
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return size, q.stamp.number, nil
}

// reserve returns a buffer with room for size more bytes. It is called with mu held.
func (q *publishQueue) reserve(e *queued, size int) []byte {
	if size > maxSharedBytes {
		return make([]byte, 0, size)
	}
	if q.current == nil || cap(q.current.buffer)-len(q.current.buffer) < size {
		if last := len(q.free) - 1; last >= 0 {
			q.current, q.free[last] = q.free[last], nil
			q.free = q.free[:last]
		} else {
			q.current = &chunk{buffer: make([]byte, 0, chunkBytes)}
		}
	}
	e.chunk = q.current
	e.chunk.used++
	return q.current.buffer
}

// peek copies the oldest messages, as many as make a pipeline, into batch and
// returns it.
func (q *publishQueue) peek(batch []queued) []queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := 0
	for i := q.head; i < len(q.entries) && len(batch) < maxPipeline; i++ {
		if size += q.entries[i].size(); size > maxPipelineBytes && len(batch) > 0 {
			break
		}
		batch = append(batch, q.entries[i])
	}
	return batch
}

// pop removes the oldest count messages and returns their bytes.
func (q *publishQueue) pop(count int) (bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range count {
		e := &q.entries[q.head]
		bytes += e.size()
		q.release(e.chunk)
		if !e.own {
			q.foreign--
		}
		*e = queued{}
		q.head++
	}
	q.bytes -= bytes
	if q.foreign == 0 && q.drained != nil {
		close(q.drained)
		q.drained = nil
	}
	q.compact()
	return bytes
}

// release gives a message's memory back. It is called with mu held.
func (q *publishQueue) release(c *chunk) {
	if c == nil {
		return
	}
	if c.used--; c.used > 0 {
		return
	}
	c.buffer = c.buffer[:0]
	if c != q.current && len(q.free) < maxFreeChunks {
		q.free = append(q.free, c)
	}
}

// compact is called with mu held.
func (q *publishQueue) compact() {
	switch length := len(q.entries) - q.head; {
	case length == 0:
		if cap(q.entries) > 4*maxPipeline {
			q.entries = nil
		}
		q.entries, q.head = q.entries[:0], 0
	case q.head > length && q.head > maxPipeline:
		q.entries = append(q.entries[:0], q.entries[q.head:]...)
		clear(q.entries[length : length+q.head])
		q.head = 0
	}
}

// expired returns how many of the oldest messages are older than the age.
func (q *publishQueue) expired(oldest time.Duration) (count int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := q.head; i < len(q.entries) && q.entries[i].since < oldest; i++ {
		count++
	}
	return count
}

// close lets nothing more in. The result is closed when nobody's message is left.
func (q *publishQueue) close() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	drained := make(chan struct{})
	if q.foreign == 0 {
		close(drained)
		return drained
	}
	q.drained = drained
	return drained
}

func (q *publishQueue) usage() (messages, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.entries) - q.head, q.bytes
}
