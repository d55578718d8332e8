package proxyconn

import (
	"errors"
	"io"
	"net"
	"sync/atomic"

	"github.com/stoa-io/stoa/internal/peeraddr"
)

// Listener wraps a listener whose connections come from proxies. Both functions
// are called from any goroutine.
type Listener struct {
	net.Listener
	// Trusts reports whether a proxy with this address may name its clients.
	// The connections of others are closed.
	Trusts func(peer net.Addr) bool
	// Failed is notified of each connection that is not trusted, which was
	// closed, or whose header is missing or malformed, so that its first read
	// fails with the reason.
	Failed func(peer net.Addr, reason error)
}

// ErrUntrusted is the reason for closing a connection that does not come from a
// trusted proxy.
var ErrUntrusted = errors.New("the peer is no trusted proxy")

// Accept implements net.Listener. It does not wait for the header: the first
// Read of the connection does.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if peer := nc.RemoteAddr(); !l.Trusts(peer) {
			_ = nc.Close()
			l.Failed(peer, ErrUntrusted)
			continue
		}
		return &Conn{Conn: nc, listener: l}, nil
	}
}

// Conn is a connection without its header. One goroutine at a time may read
// from it.
type Conn struct {
	net.Conn
	listener *Listener
	begun    bool   // owned by the reader, like head: the header was read
	head     []byte // the bytes that were read behind the header
	err      error  // of the header
	client   atomic.Pointer[net.TCPAddr]
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if !c.begun {
		c.begun = true
		c.err = c.readHeader()
	}
	switch {
	case c.err != nil:
		return 0, c.err
	case len(c.head) > 0:
		n := copy(p, c.head)
		if c.head = c.head[n:]; len(c.head) == 0 {
			c.head = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
}

// readHeader reads until the header is complete. The buffer grows with the
// received bytes, not with the length that the header promises.
func (c *Conn) readHeader() error {
	buffer := make([]byte, 0, 256)
	for {
		n, err := c.Conn.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		client, size, malformed := peeraddr.ParseProxy(buffer)
		switch {
		case malformed == nil && err == io.EOF && len(buffer) > 0 && size == 0:
			malformed = peeraddr.ErrNoProxy
			fallthrough
		case malformed != nil:
			c.listener.Failed(c.Conn.RemoteAddr(), malformed)
			return malformed
		case size > 0:
			if client.IsValid() {
				c.client.Store(net.TCPAddrFromAddrPort(client))
			}
			c.head = buffer[size:]
			return nil
		case err != nil:
			return err
		}
		if len(buffer) == cap(buffer) {
			buffer = append(make([]byte, 0, 2*cap(buffer)), buffer...)
		}
	}
}

// RemoteAddr implements net.Conn. It is the client's after the first Read, if
// the proxy has named one. Any goroutine may call it.
func (c *Conn) RemoteAddr() net.Addr {
	if client := c.client.Load(); client != nil {
		return client
	}
	return c.Conn.RemoteAddr()
}

// NetConn returns the connection of the proxy.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// CloseWrite closes this side of the connection, if its kind has sides.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
