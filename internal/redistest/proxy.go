package redistest

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy is a network between a client and a server that can be cut: connections
// stay open and new ones are accepted, but no data passes, as with a firewall
// that drops packets.
type Proxy struct {
	listener net.Listener
	filter   func(client, server io.Reader) (commands, replies io.Reader) // nil: none
	pipes    sync.WaitGroup

	mu      sync.Mutex // guards the rest
	target  string
	conns   map[net.Conn]struct{}
	open    chan struct{} // closed while bytes get through
	passing *passage      // of new connections
	stalled []*passage
	ended   bool
}

// StartProxy forwards connections to the server until the end of the test.
func StartProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	return startProxy(t, s, nil)
}

func startProxy(t testing.TB, s *Server, filter func(client, server io.Reader) (commands, replies io.Reader)) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		listener: listener, target: s.Addr(), filter: filter,
		conns: make(map[net.Conn]struct{}), open: make(chan struct{}),
	}
	close(p.open)
	p.passing = newPassage()
	p.pipes.Go(p.accept)
	t.Cleanup(p.end)
	return p
}

// Addr is where clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL is a redis:// URL.
func (p *Proxy) URL() string { return "redis://" + p.Addr() }

// Cut stops all data until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
		p.open = make(chan struct{})
	default:
	}
}

// Stall stops the data of the connections that are open now, until Heal. New
// ones are not affected.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passing.stop()
	p.stalled = append(p.stalled, p.passing)
	p.passing = newPassage()
}

// passage lets the data of some connections pass.
type passage struct {
	mu   sync.Mutex
	open chan struct{} // closed while bytes get through; guarded by mu
}

func newPassage() *passage {
	p := &passage{open: make(chan struct{})}
	close(p.open)
	return p
}

func (p *passage) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

func (p *passage) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.open)
}

func (p *passage) await() {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	<-open
}

// Heal lets all data pass again; data that was sent in the meantime on
// connections that still exist arrives.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, stalled := range p.stalled {
		stalled.resume()
	}
	p.stalled = nil
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

// Redirect sends new connections to another server, as a name does after a
// failover.
func (p *Proxy) Redirect(s *Server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = s.Addr()
}

// Break closes all connections; new ones are served.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

func (p *Proxy) end() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.Heal()
	p.Break()
	p.pipes.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target := p.target
		p.mu.Unlock()
		server, err := net.DialTimeout("tcp", target, patience)
		if err != nil || !p.keep(client, server) {
			_ = client.Close()
			if err == nil {
				_ = server.Close()
			}
			continue
		}
		passing, commands, replies := p.current(), io.Reader(client), io.Reader(server)
		if p.filter != nil {
			commands, replies = p.filter(client, server)
		}
		p.pipes.Go(func() { p.copy(server, client, commands, passing) })
		p.pipes.Go(func() { p.copy(client, server, replies, passing) })
	}
}

func (p *Proxy) current() *passage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passing
}

// keep returns false once the proxy has ended.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	for _, conn := range conns {
		p.conns[conn] = struct{}{}
	}
	return true
}

// copy forwards one direction while the network is open. When one connection
// ends, so does the other, but not while the network is cut: a cut network does
// not report the end of a connection either.
func (p *Proxy) copy(to, from net.Conn, data io.Reader, passing *passage) {
	buffer := make([]byte, 64<<10)
	for {
		count, err := data.Read(buffer)
		p.awaitOpen()
		passing.await()
		if count > 0 {
			if _, writeErr := to.Write(buffer[:count]); writeErr != nil {
				err = errors.Join(err, writeErr)
			}
		}
		if err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
	p.mu.Lock()
	delete(p.conns, to)
	delete(p.conns, from)
	p.mu.Unlock()
}

func (p *Proxy) awaitOpen() {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	<-open
}
