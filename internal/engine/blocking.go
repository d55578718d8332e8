package engine

import (
	"io"
	"net"
	"sync"

	"github.com/stoa-io/stoa/internal/netpoll"
)

// blockingIO serves a connection by blocking goroutines: a reader for the life
// of the connection, and a writer during each write. The connection still
// belongs to its loop; the goroutines only move bytes and notify the loop
// through its inbox. It costs about 8 KiB per connection, where a socket on
// epoll costs nothing.
type blockingIO struct {
	conn             net.Conn
	loop             *Loop
	slot, generation uint32
	resume           chan struct{} // the loop has taken the bytes
	stop             chan struct{} // closed: the reader ends without touching conn again
	once             sync.Once

	// The reader owns these while reading is true, the loop otherwise: the post
	// and resume hand them over.
	buffer  [4 << 10]byte
	unread  []byte
	readErr error

	// The writer owns these while writing is true, the loop otherwise.
	pending    []byte
	pendingErr error

	// Loop-owned.
	reading  bool
	writing  bool
	writeErr error
}

func newBlockingIO(conn net.Conn, c *Conn) *blockingIO {
	return &blockingIO{
		conn: conn, loop: c.loop, slot: c.slot, generation: c.generation,
		resume: make(chan struct{}, 1),
		stop:   make(chan struct{}),

		reading: true,
	}
}

// readLoop is the reader. It never reads ahead of the loop: a paused connection
// is not read, and TCP slows down its peer.
func (b *blockingIO) readLoop() {
	for {
		n, err := b.conn.Read(b.buffer[:])
		b.unread, b.readErr = b.buffer[:n], err
		b.loop.post((*readTask)(b))
		if err != nil {
			return
		}
		select {
		case <-b.resume:
		case <-b.stop:
			return
		}
	}
}

// readTask tells the loop that the reader has read.
type readTask blockingIO

func (t *readTask) run(l *Loop) {
	if c := l.lookup(t.slot, t.generation); c != nil {
		c.blocking.reading = false
		c.onReadable(false)
	}
}

func (*readTask) dropped(*Loop) {}

// read takes the bytes that the reader has read. Loop only.
func (b *blockingIO) read(p []byte) (int, error) {
	if b.reading {
		return 0, netpoll.ErrAgain
	}
	if len(b.unread) > 0 {
		n := copy(p, b.unread)
		b.unread = b.unread[n:]
		return n, nil
	}
	switch b.readErr {
	case nil:
		b.reading = true
		b.resume <- struct{}{}
		return 0, netpoll.ErrAgain
	case io.EOF:
		return 0, nil
	}
	return 0, b.readErr
}

// write takes all of p or nothing: during a write it takes nothing, and the
// loop is notified of its end. Loop only.
func (b *blockingIO) write(p []byte) (int, error) {
	if b.writing {
		return 0, netpoll.ErrAgain
	}
	if b.writeErr != nil {
		return 0, b.writeErr
	}
	b.pending = append(b.pending[:0], p...)
	b.writing = true
	b.loop.stats.QueueBytes += len(p)
	b.loop.server.tasks.Go(b.writePending)
	return len(p), nil
}

func (b *blockingIO) writePending() {
	_, b.pendingErr = b.conn.Write(b.pending)
	b.loop.post((*writtenTask)(b))
}

// writtenTask tells the loop that a write has ended.
type writtenTask blockingIO

func (t *writtenTask) run(l *Loop) {
	c := l.lookup(t.slot, t.generation)
	if c == nil {
		return
	}
	t.writing = false
	l.stats.QueueBytes -= len(t.pending)
	t.writeErr = t.pendingErr
	if cap(t.pending) > 16<<10 {
		t.pending = nil
	}
	c.onWritable()
}

func (*writtenTask) dropped(*Loop) {}

// detach ends the reader and gives the connection away, with the bytes that
// were read and not taken. It is called while the reader waits for the loop.
// Loop only.
func (b *blockingIO) detach() (conn net.Conn, unread []byte) {
	b.once.Do(func() { close(b.stop) })
	return b.conn, b.unread
}

func (b *blockingIO) closeWrite() {
	if half, ok := b.conn.(interface{ CloseWrite() error }); ok {
		b.loop.server.tasks.Go(func() { _ = half.CloseWrite() })
	}
}

// close ends both goroutines. It may block for the closing alert of TLS, so it
// does not run on the loop.
func (b *blockingIO) close() {
	b.once.Do(func() { close(b.stop) })
	b.loop.server.tasks.Go(func() {
		_ = b.conn.Close()
		b.loop.server.madeRoom(nil)
	})
}
