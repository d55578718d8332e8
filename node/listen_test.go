package node_test

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stoa-io/stoa/node"
)

func TestListen(t *testing.T) {
	t.Run("port in use", func(t *testing.T) {
		first := startNode(t, nil)
		second := newNode(t, nil)
		defer func() { _ = second.Close() }()
		err := second.Listen("tcp", first.Addr().String())
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("Listen returned %v, want %v", err, syscall.EADDRINUSE)
		}
		// The node is unchanged.
		if err := second.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Errorf("Listen on another port returned %v", err)
		}
	})
	t.Run("no permission", func(t *testing.T) {
		n := newNode(t, func(c *node.Config) { c.Transport = node.TransportAuto })
		defer func() { _ = n.Close() }()
		// Not even root can create a socket there; in a container the whole
		// file system may be read-only.
		if err := n.Listen("unix", "/sys/stoa.sock"); !errors.Is(err, os.ErrPermission) && !errors.Is(err, syscall.EROFS) {
			t.Errorf("Listen returned %v, want %v", err, os.ErrPermission)
		}
		if n.Addr() != nil {
			t.Errorf("Addr is %v after an error, want nil", n.Addr())
		}
	})
	t.Run("no such address", func(t *testing.T) {
		n := newNode(t, nil)
		defer func() { _ = n.Close() }()
		var failed *net.OpError
		if err := n.Listen("tcp", "192.0.2.1:0"); !errors.As(err, &failed) {
			t.Errorf("Listen returned %v, want the error of package net", err)
		}
	})
	t.Run("no address", func(t *testing.T) {
		n := newNode(t, nil)
		defer func() { _ = n.Close() }()
		if err := n.Listen("tcp", "nonsense"); err == nil {
			t.Error("Listen returned no error")
		}
	})
	t.Run("twice", func(t *testing.T) {
		n := newNode(t, nil)
		defer func() { _ = n.Close() }()
		if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		before := n.Addr()
		if err := n.Listen("tcp", "127.0.0.1:0"); err == nil {
			t.Error("the second Listen returned no error")
		}
		if n.Addr() != before {
			t.Errorf("the address is %v, want %v still", n.Addr(), before)
		}
	})
	t.Run("Serve before Listen", func(t *testing.T) {
		n := newNode(t, nil)
		defer func() { _ = n.Close() }()
		if err := n.Serve(); !errors.Is(err, node.ErrNotListening) {
			t.Errorf("Serve returned %v, want %v", err, node.ErrNotListening)
		}
	})
	t.Run("Serve twice", func(t *testing.T) {
		n := startNode(t, nil)
		if err := n.Serve(); err == nil || errors.Is(err, node.ErrClosed) {
			t.Errorf("the second Serve returned %v, want an error", err)
		}
		dial(t, n)
	})
	t.Run("after Close", func(t *testing.T) {
		n := newNode(t, nil)
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if err := n.Listen("tcp", "127.0.0.1:0"); !errors.Is(err, node.ErrClosed) {
			t.Errorf("Listen returned %v, want %v", err, node.ErrClosed)
		}
		if err := n.Serve(); !errors.Is(err, node.ErrClosed) {
			t.Errorf("Serve returned %v, want %v", err, node.ErrClosed)
		}
	})
}
