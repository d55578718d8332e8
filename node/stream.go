package node

import (
	"io"
	"net"
	"sync"
)

// stream serves a connection by blocking goroutines: a reader for as long as the
// connection lives, and a writer for as long as something is being written. The
// connection still belongs to one loop; the goroutines only move bytes and tell
// the loop through its inbox. It costs about 8 KiB per connection where a socket
// on epoll costs nothing.
type stream struct {
	conn   net.Conn
	loop   *loop
	place  place
	gen    uint32
	resume chan struct{} // the loop has taken what was read
	stop   chan struct{} // closed: the reader ends without touching conn again
	once   sync.Once

	// The reader owns these while reading is true, the loop otherwise: the post
	// and resume hand them over.
	buffer  [4 << 10]byte
	unread  []byte
	readErr error

	// The writer owns pending while writing is true, the loop otherwise.
	pending []byte

	// Loop-owned.
	reading  bool
	writing  bool
	writeErr error
}

func newStream(conn net.Conn, l *loop, p place, generation uint32) *stream {
	return &stream{
		conn: conn, loop: l, place: p, gen: generation,
		resume: make(chan struct{}, 1),
		stop:   make(chan struct{}),

		reading: true,
	}
}

// readLoop is the reader. It never reads ahead of the loop: a connection that is
// held is not read, and TCP tells its peer.
func (s *stream) readLoop() {
	for {
		n, err := s.conn.Read(s.buffer[:])
		s.unread, s.readErr = s.buffer[:n], err
		s.loop.post(item{kind: itemReadable, place: s.place, generation: s.gen})
		if err != nil {
			return
		}
		select {
		case <-s.resume:
		case <-s.stop:
			return
		}
	}
}

// read takes what the reader has read. Loop only.
func (s *stream) read(p []byte) (int, error) {
	if s.reading {
		return 0, errAgain
	}
	if len(s.unread) > 0 {
		n := copy(p, s.unread)
		s.unread = s.unread[n:]
		return n, nil
	}
	switch s.readErr {
	case nil:
		s.reading = true
		s.resume <- struct{}{}
		return 0, errAgain
	case io.EOF:
		return 0, nil
	}
	return 0, s.readErr
}

// write takes all of p or nothing: while a write is under way it takes nothing,
// and the loop is told when it has ended. Loop only.
func (s *stream) write(p []byte) (int, error) {
	if s.writing {
		return 0, errAgain
	}
	if s.writeErr != nil {
		return 0, s.writeErr
	}
	s.pending = append(s.pending[:0], p...)
	s.writing = true
	s.loop.node.tasks.Go(s.writePending)
	return len(p), nil
}

func (s *stream) writePending() {
	_, err := s.conn.Write(s.pending)
	it := item{kind: itemWritable, place: s.place, generation: s.gen}
	if err != nil {
		it.errand = &errand{err: err}
	}
	s.loop.post(it)
}

// wrote ends a write. Loop only.
func (s *stream) wrote(err error) {
	s.writing = false
	s.writeErr = err
	if cap(s.pending) > 16<<10 {
		s.pending = nil
	}
}

// detach ends the reader and gives the connection away, with what was read and
// not taken. It is called while the reader waits for the loop. Loop only.
func (s *stream) detach() (conn net.Conn, unread []byte) {
	s.once.Do(func() { close(s.stop) })
	return s.conn, s.unread
}

func (s *stream) closeWrite() {
	if half, ok := s.conn.(interface{ CloseWrite() error }); ok {
		s.loop.node.tasks.Go(func() { _ = half.CloseWrite() })
	}
}

// close ends both goroutines. It may block for TLS' closing alert, so it does not
// run on the loop.
func (s *stream) close() {
	s.once.Do(func() { close(s.stop) })
	s.loop.node.tasks.Go(func() { _ = s.conn.Close() })
}
