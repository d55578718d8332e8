package cluster

import "errors"

var (
	// ErrClosed is returned by every call after Close, and by calls that Close
	// interrupted.
	ErrClosed = errors.New("cluster: closed")
	// ErrNotStarted is returned by calls that need Start first.
	ErrNotStarted = errors.New("cluster: not started")
	// ErrStarted is returned by a second Start.
	ErrStarted = errors.New("cluster: already started")
	// ErrQueueFull is returned by Publish when the publish queue has reached its
	// hard limit: the message was not accepted and nobody will receive it.
	ErrQueueFull = errors.New("cluster: publish queue full")
	// ErrExpired ends a message that was accepted, but waited for its server longer
	// than the broker keeps messages. It is reported by PublishCount only.
	ErrExpired = errors.New("cluster: message waited too long")
	// ErrInvalidChannel is returned by ParseChannel for a name that none of the
	// functions of this package makes.
	ErrInvalidChannel = errors.New("cluster: invalid channel name")
)
