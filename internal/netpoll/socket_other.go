//go:build !linux

package netpoll

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// errNoSockets is the error of every socket function on systems without epoll.
var errNoSockets = errors.New("netpoll: this system has no epoll")

// Listen is for systems with epoll.
func Listen(string, string, int) ([]int, net.Addr, error) { return nil, nil, errNoSockets }

// Take is for systems with epoll.
func Take(syscall.Conn) (int, error) { return -1, errNoSockets }

// Accept is for systems with epoll.
func Accept(int) (int, netip.AddrPort, error) { return -1, netip.AddrPort{}, errNoSockets }

// AcceptInterrupted is for systems with epoll.
func AcceptInterrupted(error) bool { return false }

// Read is for systems with epoll.
func Read(int, []byte) (int, error) { return 0, errNoSockets }

// Write is for systems with epoll.
func Write(int, []byte) (int, error) { return 0, errNoSockets }

// Close is for systems with epoll.
func Close(int) {}

// CloseWrite is for systems with epoll.
func CloseWrite(int) {}

// Conn is for systems with epoll.
func Conn(int) (net.Conn, error) { return nil, errNoSockets }

// Peer is for systems with epoll.
func Peer(int) string { return "" }
