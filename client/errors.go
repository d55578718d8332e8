package client

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/stoa-io/stoa/wire"
)

// The errors that begin here. What the server says comes through as the errors
// of package wire: wire.ErrBadNamespace, wire.ErrForbidden, wire.ErrTimeout, or a
// wire.RemoteError.
var (
	// ErrClosed: the Conn is closed for good. Conn.Err says why.
	ErrClosed = errors.New("client: closed")
	// ErrDisconnected: the connection was lost before the answer came, or there is
	// none at the moment and the message is not kept. Whether the server has got the
	// question is not known.
	ErrDisconnected = errors.New("client: connection lost")
	// ErrRefused: the server does not want this client; see RefusedError. An
	// Authenticate function that wraps it ends the Conn.
	ErrRefused = errors.New("client: refused")
	// ErrGaveUp: as many attempts as Reconnect.Attempts allows have failed in a row.
	ErrGaveUp = errors.New("client: gave up connecting")
	// ErrBufferFull: there is no connection, and Options.Buffer holds as much as it may.
	ErrBufferFull = errors.New("client: buffer full")
	// ErrUnsent: the Conn was closed before everything emitted could be sent.
	ErrUnsent = errors.New("client: closed before everything was sent")
	// ErrNotText: the body of a text message is not valid UTF-8.
	ErrNotText = errors.New("client: a text message that is not valid UTF-8")
	// ErrIdle: nothing came for Options.IdleTimeout, or nothing could be sent for as long.
	ErrIdle = errors.New("client: nothing came from the server for too long")
	// ErrAcknowledge: the server did not acknowledge the connection in time.
	ErrAcknowledge = errors.New("client: the server did not acknowledge in time")
	// ErrProtocol: the server sent something that is against RFC 6455.
	ErrProtocol = errors.New("client: protocol error of the server")
	// ErrTooBig: the server sent a message above Options.ReadLimit.
	ErrTooBig = errors.New("client: message too big")
	// ErrProxy: the proxy did not connect, or is of a kind that is not supported.
	ErrProxy = errors.New("client: proxy")
	// ErrOptions: Dial was given something that cannot work.
	ErrOptions = errors.New("client: bad options")
	// ErrInternal is what the server is told when a handler panicked.
	ErrInternal = errors.New("internal error")

	errCloseFrame = fmt.Errorf("%w: malformed close frame", ErrProtocol)
	// errScheme: a proxy of a kind that is not supported.
	errScheme = fmt.Errorf("%w: want http or https", ErrProxy)
)

// CloseError says that the server closed the connection with a close frame.
type CloseError struct {
	Code wire.Code
	// Reason is the server's text, chosen by it: quote it before it reaches a log.
	Reason string
}

// Error implements error.
func (e *CloseError) Error() string {
	text := fmt.Sprintf("client: closed by the server: %d %s", uint16(e.Code), e.Code)
	if e.Reason != "" {
		text += " " + strconv.Quote(e.Reason)
	}
	return text
}

// RefusedError says that the server did not accept the connection.
type RefusedError struct {
	// Status is that of the HTTP response, or zero if the connection was opened and
	// refused instead of acknowledged.
	Status int
	// Text is the server's: the reason of a refusal, or the beginning of the HTTP
	// body. Quote it before it reaches a log.
	Text string

	retryAfter time.Duration // from the HTTP header; 0: none
}

// Error implements error.
func (e *RefusedError) Error() string {
	text := ErrRefused.Error()
	if e.Status != 0 {
		text += " with status " + strconv.Itoa(e.Status)
	}
	if e.Text != "" {
		text += ": " + strconv.Quote(e.Text)
	}
	return text
}

// Unwrap returns ErrRefused and, for a refusal instead of the acknowledgement, the
// error of package wire with its text.
func (e *RefusedError) Unwrap() []error {
	if e.Status != 0 {
		return []error{ErrRefused}
	}
	return []error{ErrRefused, wire.ErrorFor(e.Text)}
}
