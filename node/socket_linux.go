package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// soReuseport is missing from package syscall on some architectures.
const soReuseport = 0xf

// listenSockets binds one listening socket for each loop to the same address:
// the kernel spreads new connections over them, so a loop accepts its own and
// no connection is handed from one to another.
func listenSockets(network, address string, loops int) (fds []int, bound net.Addr, err error) {
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
				syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soReuseport, 1),
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
		fd, err := takeSocket(listener.(*net.TCPListener))
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

// probe binds the address without SO_REUSEPORT first. Otherwise a second process
// of the same user would share the port without a word, and take half of the
// connections.
func probe(network, address string) error {
	listener, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	if _, ok := listener.(*net.TCPListener); !ok {
		_ = listener.Close()
		return fmt.Errorf("node: cannot listen on a %s address", network)
	}
	return listener.Close()
}

// takeSocket gives the caller a descriptor of its own for a socket of package
// net, in non-blocking mode. The caller closes the original.
func takeSocket(conn syscall.Conn) (int, error) {
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

// acceptSocket returns errAgain when no connection waits.
func acceptSocket(listener int) (int, error) {
	fd, _, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
	switch err {
	case nil:
		return fd, nil
	case syscall.EAGAIN:
		return -1, errAgain
	}
	return -1, os.NewSyscallError("accept4", err)
}

// acceptInterrupted tells an error of one connection (it was gone before it was
// accepted) from one of the listener.
func acceptInterrupted(err error) bool {
	return errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EPROTO)
}

func readSocket(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, p)
		switch err {
		case nil:
			return n, nil
		case syscall.EAGAIN:
			return 0, errAgain
		case syscall.EINTR:
			continue
		}
		return 0, os.NewSyscallError("read", err)
	}
}

func writeSocket(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Write(fd, p)
		switch err {
		case nil:
			return n, nil
		case syscall.EAGAIN:
			return 0, errAgain
		case syscall.EINTR:
			continue
		}
		return 0, os.NewSyscallError("write", err)
	}
}

func closeSocket(fd int)         { _ = syscall.Close(fd) }
func shutdownSocketWrite(fd int) { _ = syscall.Shutdown(fd, syscall.SHUT_WR) }

// socketConn turns a descriptor into a connection of package net and gives up
// the descriptor, also when it fails.
func socketConn(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "connection")
	conn, err := net.FileConn(file)
	return conn, errors.Join(err, file.Close())
}

// socketPeer is the address of the peer, for the log.
func socketPeer(fd int) string {
	address, err := syscall.Getpeername(fd)
	if err != nil {
		return ""
	}
	switch a := address.(type) {
	case *syscall.SockaddrInet4:
		return (&net.TCPAddr{IP: a.Addr[:], Port: a.Port}).String()
	case *syscall.SockaddrInet6:
		return (&net.TCPAddr{IP: a.Addr[:], Port: a.Port}).String()
	}
	return ""
}
