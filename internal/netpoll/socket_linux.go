package netpoll

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listen binds one listening socket per loop to the same address. The kernel
// spreads new connections over them, so each loop accepts its own connections.
func Listen(network, address string, loops int) (fds []int, bound net.Addr, err error) {
	if err := probe(network, address); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			for _, fd := range fds {
				_ = syscall.Close(fd)
			}
			fds = nil
		}
	}()
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = os.NewSyscallError("setsockopt", errors.Join(
				syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, unix.SO_REUSEPORT, 1),
				// Accepted sockets inherit it, which saves a system call each.
				syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)))
		})
		return errors.Join(err, failed)
	}}
	for range loops {
		listener, err := config.Listen(context.Background(), network, address)
		if err != nil {
			return fds, nil, err
		}
		fd, err := Take(listener.(*net.TCPListener))
		bound = listener.Addr()
		address = bound.String()
		_ = listener.Close()
		if err != nil {
			return fds, nil, err
		}
		fds = append(fds, fd)
	}
	return fds, bound, nil
}

// probe binds the address without SO_REUSEPORT first. Otherwise a second
// process of the same user would silently share the port and take half of the
// connections.
func probe(network, address string) error {
	listener, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	if _, ok := listener.(*net.TCPListener); !ok {
		_ = listener.Close()
		return fmt.Errorf("cannot listen on a %s address with epoll", network)
	}
	return listener.Close()
}

// Take duplicates the descriptor of a socket of package net, which is in
// non-blocking mode. The caller owns the duplicate and closes the original.
func Take(conn syscall.Conn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	taken := -1
	var failed error
	if err := raw.Control(func(fd uintptr) {
		duplicate, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, 0)
		if errno != 0 {
			failed = os.NewSyscallError("fcntl", errno)
			return
		}
		taken = int(duplicate)
	}); err != nil {
		return -1, err
	}
	return taken, failed
}

// Accept takes a connection from a listening socket, and returns the address of
// the peer, which is not valid for a Unix socket. It returns ErrAgain when the
// queue of the listener is empty.
func Accept(listener int) (fd int, peer netip.AddrPort, err error) {
	fd, from, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
	switch err {
	case nil:
		return fd, addrPort(from), nil
	case syscall.EAGAIN:
		return -1, peer, ErrAgain
	}
	return -1, peer, os.NewSyscallError("accept4", err)
}

// addrPort is an address as package net writes it: an IPv4 client of an IPv6
// socket is without the prefix.
func addrPort(address syscall.Sockaddr) netip.AddrPort {
	switch a := address.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// AcceptInterrupted reports whether an error of Accept concerns one connection,
// which was closed before it was accepted, and not the listener.
func AcceptInterrupted(err error) bool {
	return errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EPROTO)
}

// Read reads from a socket. 0 without an error is the end.
func Read(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, p)
		switch err {
		case nil:
			return n, nil
		case syscall.EAGAIN:
			return 0, ErrAgain
		case syscall.EINTR:
			continue
		}
		return 0, os.NewSyscallError("read", err)
	}
}

// Write writes what the socket takes now.
func Write(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Write(fd, p)
		switch err {
		case nil:
			return n, nil
		case syscall.EAGAIN:
			return 0, ErrAgain
		case syscall.EINTR:
			continue
		}
		return 0, os.NewSyscallError("write", err)
	}
}

// Close closes a socket.
func Close(fd int) { _ = syscall.Close(fd) }

// CloseWrite closes the sending side of a socket.
func CloseWrite(fd int) { _ = syscall.Shutdown(fd, syscall.SHUT_WR) }

// Conn turns a socket into a connection of package net. It takes ownership of
// the descriptor, also when it fails.
func Conn(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "connection")
	conn, err := net.FileConn(file)
	return conn, errors.Join(err, file.Close())
}

// Peer returns the address of the peer, "" if the socket has none.
func Peer(fd int) string {
	address, err := syscall.Getpeername(fd)
	if err != nil {
		return ""
	}
	if peer := addrPort(address); peer.IsValid() {
		return peer.String()
	}
	return ""
}
