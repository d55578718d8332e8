package node

import (
	"errors"
	"net"
)

// ErrClosed is returned by Serve and every later call after Shutdown or Close.
// It matches net.ErrClosed.
var ErrClosed error = closedError{}

// The errors of this package. Those about a client or its answer are errors of
// package wire, such as wire.ErrGone and wire.ErrTimeout.
var (
	// ErrNotListening: Serve was called before Listen.
	ErrNotListening = errors.New("node: not listening")
	// ErrDraining: the node is not ready because it shuts down.
	ErrDraining = errors.New("node: draining")
	// ErrNotServing: the node has not been started.
	ErrNotServing = errors.New("node: not serving")
	// ErrCertificate: the certificate of ListenTLS is unusable.
	ErrCertificate = errors.New("node: unusable certificate")
	// ErrNotText: the body of a text message is not valid UTF-8.
	ErrNotText = errors.New("node: text message is not valid UTF-8")
	// ErrCloseCode: a close frame must not carry the code (RFC 6455 section
	// 7.4).
	ErrCloseCode = errors.New("node: invalid close code")
	// ErrRoom: a message to a namespace or a user names a room.
	ErrRoom = errors.New("node: message to a namespace or a user names a room")
	// ErrUser: no identity can have this ID of a user.
	ErrUser = errors.New("node: invalid user ID")
	// ErrBlockDuration: the duration of a block is not positive.
	ErrBlockDuration = errors.New("node: a block needs a positive duration")
	// ErrPublishID: the ID of PublishOptions is too long.
	ErrPublishID = errors.New("node: invalid ID of a message")
	// ErrOtherUser: the connection belongs to another user.
	ErrOtherUser = errors.New("node: the connection belongs to another user")
)

// closedError has a text of its own; that of net.ErrClosed is about one network
// connection.
type closedError struct{}

// Error implements error.
func (closedError) Error() string { return "node: closed" }

// Is reports whether the target is net.ErrClosed.
func (closedError) Is(target error) bool { return target == net.ErrClosed }
