package redistest

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// maxOnTheWay bounds the reads whose data is on its way.
const maxOnTheWay = 4096

// StartSlowLink forwards connections to the server until the end of the test.
// All data takes delay for each direction, and any amount may be on its way.
func StartSlowLink(t testing.TB, s *Server, delay time.Duration) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &slowLink{target: s.Addr(), delay: delay, conns: make(map[net.Conn]bool)}
	l.pipes.Go(func() { l.accept(listener) })
	t.Cleanup(func() {
		_ = listener.Close()
		l.end()
	})
	return "redis://" + listener.Addr().String()
}

type slowLink struct {
	target string
	delay  time.Duration
	pipes  sync.WaitGroup

	mu    sync.Mutex // guards the rest
	conns map[net.Conn]bool
	ended bool
}

// keep returns false once the link has ended.
func (l *slowLink) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range conns {
		l.conns[conn] = true
	}
	return !l.ended
}

func (l *slowLink) end() {
	l.mu.Lock()
	l.ended = true
	for conn := range l.conns {
		_ = conn.Close()
	}
	l.mu.Unlock()
	l.pipes.Wait()
}

func (l *slowLink) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.DialTimeout("tcp", l.target, patience)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !l.keep(client, server) {
			_, _ = client.Close(), server.Close()
			return
		}
		l.pipes.Go(func() { l.copy(server, client) })
		l.pipes.Go(func() { l.copy(client, server) })
	}
}

// delayed is data on its way.
type delayed struct {
	data []byte
	due  time.Time
}

// copy forwards one direction. When one connection ends, so does the other.
func (l *slowLink) copy(to, from net.Conn) {
	way := make(chan delayed, maxOnTheWay)
	l.pipes.Go(func() {
		for d := range way {
			<-time.After(time.Until(d.due))
			// After a failure the reader fails as well, and closes the way.
			_, _ = to.Write(d.data)
		}
		_ = errors.Join(to.Close(), from.Close())
	})
	defer close(way)
	for {
		buffer := make([]byte, 16<<10)
		count, err := from.Read(buffer)
		if count > 0 {
			way <- delayed{buffer[:count], time.Now().Add(l.delay)}
		}
		if err != nil {
			return
		}
	}
}
