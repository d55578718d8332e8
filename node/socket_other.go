//go:build !linux

package node

import (
	"errors"
	"net"
	"syscall"
)

// errNoSockets: without epoll no loop owns a descriptor, see poller_other.go.
var errNoSockets = errors.New("node: this system has no epoll")

func listenSockets(string, string, int) ([]int, net.Addr, error) { return nil, nil, errNoSockets }
func takeSocket(syscall.Conn) (int, error)                       { return -1, errNoSockets }
func acceptSocket(int) (int, error)                              { return -1, errNoSockets }
func acceptInterrupted(error) bool                               { return false }
func readSocket(int, []byte) (int, error)                        { return 0, errNoSockets }
func writeSocket(int, []byte) (int, error)                       { return 0, errNoSockets }
func closeSocket(int)                                            {}
func shutdownSocketWrite(int)                                    {}
func socketConn(int) (net.Conn, error)                           { return nil, errNoSockets }
func socketPeer(int) string                                      { return "" }
