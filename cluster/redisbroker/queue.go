package redisbroker

import (
	"sync"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/keyed"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/once"
)

const (
	// Limits of one pipeline: a failure repeats little, other clients of the
	// server get their turn, and the windows of the receivers are large enough.
	// Over a slow link they grow by a factor of up to maxGrowth: half a window,
	// since the last pipeline is always kept.
	maxPipeline      = 512
	maxPipelineBytes = 256 << 10
	maxGrowth        = dedupeWindow / maxPipeline / 2

	// Limits of the kept messages; the last pipeline is always kept. The
	// windows of the receivers depend on them.
	maxKept      = 7 * maxPipeline
	maxKeptBytes = 1 << 20

	// chunkBytes is the size of one allocation for encoded messages. A message
	// longer than a quarter of it has its own memory.
	chunkBytes     = 64 << 10
	maxSharedBytes = chunkBytes / 4
	maxFreeChunks  = 16

	// queuedOverhead is the memory of an entry without its bytes.
	queuedOverhead = 128
)

// queuedMessage is a message that waits to be published or to be acknowledged.
type queuedMessage struct {
	channel wireBytes // with the cluster's prefix
	payload wireBytes // the encoded envelope
	chunk   *chunk    // that holds both; nil if they have their own memory
	since   time.Duration
	own     bool                       // of the broker itself: Close does not wait for it
	done    func(nodes int, err error) // nil: no caller asks
	keep    *cluster.Retention         // nil: not for the history; shared, does not change
	once    *once.Message              // nil: not published once; owned by the publisher, as done
	keyed   *keyed.Message             // nil: without a key; does not change

	// acknowledged is the time of the last acknowledgement, 0 if there was
	// none. From the first one on, the message is neither counted nor waited
	// for.
	acknowledged time.Duration
}

// wireSize is the size of its part of a transaction: a message for the history
// is sent twice, or once with a script. With a key it is sent in another one.
func (q *queuedMessage) wireSize() int {
	size := q.size()
	if q.keyed != nil {
		size += size + len(keyed.Script)
	}
	switch {
	case q.once != nil:
		return size + len(q.channel) + len(once.Script)
	case q.keep == nil:
		return size
	}
	return size + q.size()
}

func (q *queuedMessage) size() int {
	size := len(q.channel) + len(q.payload) + queuedOverhead
	if q.once != nil {
		size += once.Overhead
	}
	if q.keyed != nil {
		size += keyed.Overhead + len(q.keyed.Key)
	}
	return size
}

// stored returns true if the message is stored by a command of its own.
func (q *queuedMessage) stored() bool { return q.keep != nil && q.once == nil }

// waiting returns true unless the message has had its outcome.
func (q *queuedMessage) waiting() bool {
	return q.acknowledged == 0 && (q.once == nil || q.once.Waiting())
}

// fail gives the caller an error as the outcome, if there is a caller.
func (q *queuedMessage) fail(err error) {
	if q.done != nil {
		q.done(0, err)
	}
	if q.once != nil {
		q.once.Fail(err)
	}
}

// wireBytes is an argument of a command that go-redis takes by pointer, without
// an allocation.
type wireBytes []byte

// MarshalBinary implements encoding.BinaryMarshaler.
func (w *wireBytes) MarshalBinary() ([]byte, error) { return *w, nil }

// chunk is memory for the bytes of several messages.
type chunk struct {
	buffer []byte
	used   int // messages in it
}

// publishQueue is the queue of one server, safe for concurrent use. The
// messages that peek returned stay in it until acknowledge or pop.
//
// The queue keeps the messages that were acknowledged last for a while. The
// server may answer the publisher before it has written the messages to all
// subscribers, and may die in between. To subscribers that keep up, it writes
// at the end of the turn in which it has answered, so the last pipeline would
// be enough; a subscriber with a full socket lags further behind.
type publishQueue struct {
	wake       chan struct{} // capacity 1: the queue has got a message
	maxMessage int           // size of an envelope

	mu      sync.Mutex         // guards the rest
	header  header             // of the next message
	latest  *cluster.Retention // of the last message for a history
	prefix  string
	closed  bool
	entries []queuedMessage // the ones before head are removed
	head    int
	kept    int // entries from head on that are kept after their acknowledgement
	keeping int // their bytes
	bytes   int // of the messages that are not acknowledged
	foreign int // messages of the node that are not acknowledged
	current *chunk
	free    []*chunk
	drained chan struct{} // closed when foreign is 0; nil before close
}

func newPublishQueue(prefix string, s header, maxMessage int) *publishQueue {
	return &publishQueue{wake: make(chan struct{}, 1), prefix: prefix, header: s, maxMessage: maxMessage}
}

// push adds a message and returns its size and its number. Either of done and m
// is nil.
func (q *publishQueue) push(channel string, env *cluster.Envelope, internal bool, now time.Duration,
	done func(int, error), m *once.Message,
) (size int, number uint64, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, 0, cluster.ErrClosed
	}
	envelopeBytes := envelopeSize(&q.header, env)
	if envelopeBytes > q.maxMessage {
		return 0, 0, cluster.ErrTooLarge
	}
	q.header.number++
	q.header.internal = internal
	e := queuedMessage{since: now, own: internal, done: done, once: m}
	position := cluster.Position{Incarnation: q.header.incarnation, Number: q.header.number}
	if m != nil {
		m.Place(position)
	}
	if env.Keep != nil {
		e.keep = q.retention(env.Keep)
		if env.Key != "" && env.Keep.Keys > 0 {
			e.keyed = &keyed.Message{Key: env.Key, Size: len(env.Payload), Position: position}
		}
	}
	if !internal {
		q.foreign++
	}
	nameBytes := len(q.prefix) + len(channel)
	buffer := q.reserve(&e, nameBytes+envelopeBytes)
	start := len(buffer)
	buffer = append(append(buffer, q.prefix...), channel...)
	buffer = appendEnvelope(buffer, &q.header, env)
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
	return size, q.header.number, nil
}

// retention returns a copy. Most messages share it. It is called with mu held.
func (q *publishQueue) retention(keep *cluster.Retention) *cluster.Retention {
	if q.latest == nil || *q.latest != *keep {
		own := *keep
		q.latest = &own
	}
	return q.latest
}

// reserve returns a buffer with room for size more bytes. It is called with mu
// held.
func (q *publishQueue) reserve(e *queuedMessage, size int) []byte {
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

// peek copies the oldest messages that are not acknowledged into batch, as many
// as fit into a pipeline that is growth times as large as usual, and returns
// it. It drops kept messages that would leave the windows of the receivers.
func (q *publishQueue) peek(batch []queuedMessage, growth int) []queuedMessage {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := 0
	for i := q.head + q.kept; i < len(q.entries) && len(batch) < growth*maxPipeline; i++ {
		if size += q.entries[i].wireSize(); size > growth*maxPipelineBytes && len(batch) > 0 {
			break
		}
		batch = append(batch, q.entries[i])
	}
	q.release(max(0, q.kept+len(batch)-dedupeWindow))
	return batch
}

// acknowledge is called when the server has acknowledged the oldest count
// messages. The queue keeps them and, within maxKept and for as long as age,
// the messages kept before. It returns the number and the bytes of those that
// were not acknowledged before.
func (q *publishQueue) acknowledge(count int, now, age time.Duration) (bytes, fresh int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	bytes, fresh = q.keep(count, now)
	for q.kept > count && (q.kept > maxKept || q.keeping > maxKeptBytes || q.entries[q.head].acknowledged < now-age) {
		q.release(1)
	}
	q.compact()
	return bytes, fresh
}

// suspect puts the kept messages back into the queue, and returns their number.
func (q *publishQueue) suspect() (count int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	count = q.kept
	q.kept, q.keeping = 0, 0
	return count
}

// markResent marks the oldest count messages; see the function of that name.
func (q *publishQueue) markResent(count int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.entries[q.head : q.head+count] {
		markResent(q.entries[q.head+i].payload)
	}
}

// forget drops the kept messages.
func (q *publishQueue) forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release(q.kept)
	q.compact()
}

// pop removes the oldest count messages, and the kept messages before them. It
// returns the bytes of those that were not acknowledged.
func (q *publishQueue) pop(count int) (bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	bytes, _ = q.keep(count, 0)
	q.release(q.kept)
	q.compact()
	return bytes
}

// keep turns the oldest count messages into kept ones and stops counting them.
// It returns the number and the bytes of those that were not acknowledged
// before. It is called with mu held.
func (q *publishQueue) keep(count int, now time.Duration) (bytes, fresh int) {
	first := q.head + q.kept
	for i := range q.entries[first : first+count] {
		e := &q.entries[first+i]
		size := e.size()
		q.keeping += size
		if e.acknowledged == 0 {
			bytes += size
			fresh++
			if !e.own {
				q.foreign--
			}
		}
		e.acknowledged, e.done = now, nil
	}
	q.kept += count
	q.bytes -= bytes
	if q.foreign == 0 && q.drained != nil {
		close(q.drained)
		q.drained = nil
	}
	return bytes, fresh
}

// release removes the oldest count kept messages. It is called with mu held.
func (q *publishQueue) release(count int) {
	for range count {
		e := &q.entries[q.head]
		q.keeping -= e.size()
		q.recycle(e.chunk)
		*e = queuedMessage{}
		q.head++
	}
	q.kept -= count
}

// recycle returns a message's memory. It is called with mu held.
func (q *publishQueue) recycle(c *chunk) {
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

// compact releases the space of removed entries. It is called with mu held.
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

// postpone makes the queued messages younger.
func (q *publishQueue) postpone(by, now time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := q.head + q.kept; i < len(q.entries); i++ {
		e := &q.entries[i]
		e.since = min(e.since+by, now)
	}
}

// expired returns how many of the oldest messages were queued before oldest.
func (q *publishQueue) expired(oldest time.Duration) (count int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := q.head + q.kept; i < len(q.entries) && q.entries[i].since < oldest; i++ {
		count++
	}
	return count
}

// close rejects further messages. The result is closed when only the broker's
// own messages are left.
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
	return len(q.entries) - q.head - q.kept, q.bytes
}
