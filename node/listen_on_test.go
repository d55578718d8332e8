package node_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// unixNode is a node for Unix sockets, which epoll does not serve.
func unixNode(tb testing.TB) *node.Node {
	tb.Helper()
	return newNode(tb, func(c *node.Config) {
		withEcho(c)
		if c.Transport == node.TransportEpoll {
			c.Transport = node.TransportAuto
		}
	})
}

// converse opens a WebSocket, and gets a page, over connections of dial.
func converse(tb testing.TB, dial func() (net.Conn, error)) {
	tb.Helper()
	for _, request := range []string{upgradeRequest("/ws"), plainGet} {
		conn, err := dial()
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = conn.Close() })
		p := &peer{tb: tb, conn: conn, in: bufio.NewReader(conn)}
		p.write(request)
		switch response := p.response(); response.StatusCode {
		case http.StatusSwitchingProtocols:
			p.hello()
		case http.StatusOK:
		default:
			tb.Errorf("answered %s, want 101 or 200", response.Status)
		}
	}
}

func TestListenOnUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stoa.sock")
	dialUnix := func() (net.Conn, error) { return net.Dial("unix", path) }
	t.Run("new", func(t *testing.T) {
		n := unixNode(t)
		if err := n.Listen("unix", path); err != nil {
			t.Fatal(err)
		}
		serve(t, n)
		converse(t, dialUnix)
		if n.Addr().String() != path {
			t.Errorf("the address is %v, want %s", n.Addr(), path)
		}
		// The socket of a running process stays.
		other := unixNode(t)
		defer func() { _ = other.Close() }()
		if err := other.Listen("unix", path); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("Listen returned %v, want %v", err, syscall.EADDRINUSE)
		}
		converse(t, dialUnix)
	})
	t.Run("removed at the end", func(t *testing.T) {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket file: %v, want none", err)
		}
	})
	t.Run("stale", func(t *testing.T) {
		// A process that was killed leaves the file.
		left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		if err != nil {
			t.Fatal(err)
		}
		left.SetUnlinkOnClose(false)
		_ = left.Close()
		n := unixNode(t)
		if err := n.Listen("unix", path); err != nil {
			t.Fatal(err)
		}
		serve(t, n)
		converse(t, dialUnix)
	})
	t.Run("another file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "precious")
		if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
		n := unixNode(t)
		defer func() { _ = n.Close() }()
		if err := n.Listen("unix", file); err == nil {
			t.Error("Listen returned no error")
		}
		if content, err := os.ReadFile(file); err != nil || string(content) != "content" {
			t.Errorf("the file is %q, %v, want it unchanged", content, err)
		}
	})
}

func TestListenOnOwnListener(t *testing.T) {
	t.Run("TCP", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		n := newNode(t, withEcho)
		if err := n.ListenOn(listener); err != nil {
			t.Fatal(err)
		}
		serve(t, n)
		converse(t, func() (net.Conn, error) { return net.Dial("tcp", n.Addr().String()) })
	})
	t.Run("TLS", func(t *testing.T) {
		files := newTLSFiles(t)
		pair, err := tls.LoadX509KeyPair(files.cert, files.key)
		if err != nil {
			t.Fatal(err)
		}
		listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
		if err != nil {
			t.Fatal(err)
		}
		n := newNode(t, withEcho)
		if err := n.ListenOn(listener); err != nil {
			t.Fatal(err)
		}
		serve(t, n)
		converse(t, func() (net.Conn, error) { return tls.Dial("tcp", n.Addr().String(), files.config()) })
	})
	t.Run("closed with the node", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		n := newNode(t, nil)
		if err := n.ListenOn(listener); err != nil {
			t.Fatal(err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept returned %v, want %v", err, net.ErrClosed)
		}
	})
}
