package engine

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/stoa-io/stoa/internal/netpoll"
	"github.com/stoa-io/stoa/internal/proxyconn"
)

// Listen binds the address. Connections wait in the kernel until Start. A Unix
// socket is served by blocking I/O.
func (s *Server) Listen(network, address string) (net.Addr, error) {
	if network == "unix" {
		listener, err := listenUnix(address)
		if err != nil {
			return nil, err
		}
		return s.ListenOn(listener), nil
	}
	if !s.epoll {
		listener, err := net.Listen(network, address)
		if err != nil {
			return nil, err
		}
		return s.ListenOn(listener), nil
	}
	fds, bound, err := netpoll.Listen(network, address, len(s.loops))
	if err != nil {
		return nil, err
	}
	for i, fd := range fds {
		s.loops[i].listener = fd
	}
	s.http.addr = bound
	return bound, nil
}

// ListenOn makes the server accept from a listener, which it owns, by blocking
// I/O.
func (s *Server) ListenOn(listener net.Listener) net.Addr {
	return s.listenOn(s.behindProxy(listener))
}

func (s *Server) listenOn(listener net.Listener) net.Addr {
	s.listener, s.http.addr = listener, listener.Addr()
	return s.http.addr
}

// ListenTLS is Listen for a port where everything is TLS, served by blocking
// I/O. The configuration is copied and restricted to HTTP/1.1.
func (s *Server) ListenTLS(network, address string, config *tls.Config) (net.Addr, error) {
	listen := net.Listen
	if network == "unix" {
		listen = func(_, address string) (net.Listener, error) { return listenUnix(address) }
	}
	listener, err := listen(network, address)
	if err != nil {
		return nil, err
	}
	return s.listenOn(&tlsListener{s.behindProxy(listener), withHTTP1(config)}), nil
}

// behindProxy lets the connections of a listener begin with a header of the
// PROXY protocol, if the configuration says so.
func (s *Server) behindProxy(listener net.Listener) net.Listener {
	if !s.config.ProxyProtocol {
		return listener
	}
	return &proxyconn.Listener{
		Listener: listener,
		Trusts:   func(peer net.Addr) bool { return s.allowed.Load().Proxies.ContainsPeer(peer.String()) },
		Failed: func(peer net.Addr, reason error) {
			kind := ProxyHeader
			if errors.Is(reason, proxyconn.ErrUntrusted) {
				kind = ProxyUntrusted
			}
			s.proxyFailed(kind, peer.String())
		},
	}
}

// listenUnix binds a Unix socket. It replaces the file that a process has left
// behind that could not remove it.
func listenUnix(path string) (net.Listener, error) {
	listener, err := net.Listen("unix", path)
	if !errors.Is(err, syscall.EADDRINUSE) || !isStale(path) {
		return listener, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return net.Listen("unix", path)
}

// isStale reports whether the file is a socket on which no process listens.
func isStale(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket || strings.HasPrefix(path, "@") {
		return false
	}
	nc, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = nc.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
