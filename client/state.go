package client

import (
	"errors"
	"time"

	"github.com/stoa-io/stoa/wire"
)

// State is the state of a Conn.
type State uint8

// The states. A Conn begins as connecting and ends as closed.
const (
	// StateConnecting: Dial is connecting for the first time.
	StateConnecting State = iota + 1
	// StateConnected: acknowledged, and all namespaces and rooms are restored.
	StateConnected
	// StateReconnecting: the connection was lost; the Conn waits, dials or
	// rejoins.
	StateReconnecting
	// StateClosed: closed for good.
	StateClosed
)

// String returns the state as one lower-case word.
func (s State) String() string {
	switch s {
	case StateConnecting:
		return "connecting"
	case StateConnected:
		return "connected"
	case StateReconnecting:
		return "reconnecting"
	case StateClosed:
		return "closed"
	}
	return "invalid"
}

// StateEvent reports a change of the state, or a further failed attempt: then
// From and To are the same.
type StateEvent struct {
	Conn     *Conn
	From, To State
	// ID is the connection's ID if To is StateConnected. Every connection has a
	// new one.
	ID string
	// Err is why the connection was lost, the attempt failed or the Conn is
	// closed: a CloseError, a RefusedError, an error of the network. Nil if To
	// is StateConnected.
	Err error
	// Code and Reason are those of the server's close frame, CodeAbnormal if
	// the connection was lost without one, and zero where no connection was
	// lost.
	Code   wire.Code
	Reason string
	// Attempt is the number of the attempt since the last connection, from 1:
	// the one that follows after Delay, or that succeeded. Zero if To is
	// StateClosed.
	Attempt int
	// Delay is the time before this attempt.
	Delay time.Duration
}

// setClose takes the code and the reason of the close frame from an error.
func (e *StateEvent) setClose(err error) {
	var closed *CloseError
	var refused *RefusedError
	switch {
	case errors.As(err, &closed):
		e.Code, e.Reason = closed.Code, closed.Reason
	case errors.As(err, &refused) && refused.Code != 0:
		e.Code, e.Reason = refused.Code, refused.Text
	}
}
