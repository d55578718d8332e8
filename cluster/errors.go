package cluster

import (
	"errors"
	"net"
)

// ErrClosed is returned by every call after Close, and by calls that Close
// interrupted. It matches net.ErrClosed.
var ErrClosed error = closedError{}

// Errors of brokers.
var (
	// ErrNotStarted is returned by calls that need Start first.
	ErrNotStarted = errors.New("cluster: not started")
	// ErrStarted is returned by a second Start.
	ErrStarted = errors.New("cluster: already started")
	// ErrQueueFull is returned by Publish when the publish queue has reached
	// its hard limit. The message was not accepted, and no node receives it.
	ErrQueueFull = errors.New("cluster: publish queue full")
	// ErrTooLarge is returned by Publish for a message that exceeds a limit of
	// the broker. The message was not accepted.
	ErrTooLarge = errors.New("cluster: message too large")
	// ErrExpired is the outcome of a message that was accepted, but waited for
	// its server longer than the broker keeps messages. Only PublishCount
	// and PublishOnce report it.
	ErrExpired = errors.New("cluster: message waited too long")
	// ErrIDReused is returned by PublishOnce for a message whose ID another
	// message has. It was not published.
	ErrIDReused = errors.New("cluster: ID was used for another message")
	// ErrInvalidOnce is returned by PublishOnce for a message that cannot be
	// published once: see [Once.Validate]. It was not published.
	ErrInvalidOnce = errors.New("cluster: message cannot be published once")
	// ErrInvalidChannel is returned by ParseChannel for a name that no function
	// of this package makes.
	ErrInvalidChannel = errors.New("cluster: invalid channel name")
)

// closedError keeps the text of net.ErrClosed, which speaks of a connection,
// out of the message.
type closedError struct{}

func (closedError) Error() string { return "cluster: closed" }

// Is reports whether the target is net.ErrClosed.
func (closedError) Is(target error) bool { return target == net.ErrClosed }
