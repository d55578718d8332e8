package client

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-io/stoa/wire"
)

// The errors of this package. Errors of the server are those of package wire,
// such as wire.ErrBadNamespace, wire.ErrForbidden and wire.ErrTimeout, or a
// wire.RemoteError.
var (
	// ErrClosed: the Conn is closed for good. Conn.Err returns the reason. It
	// matches net.ErrClosed.
	ErrClosed error = closedError{}
	// ErrDisconnected: the connection was lost before the answer arrived, or
	// the Conn is not connected and the message is not kept. The server may
	// have received it.
	ErrDisconnected = errors.New("client: connection lost")
	// ErrRefused: the server refused the client; see RefusedError. If the error
	// of Options.Authenticate wraps it or wire.ErrUnauthorized, the Conn is
	// closed.
	ErrRefused = errors.New("client: refused")
	// ErrGaveUp: Reconnect.Attempts attempts have failed in a row.
	ErrGaveUp = errors.New("client: gave up connecting")
	// ErrBufferFull: the Conn is not connected and Options.Buffer is full.
	ErrBufferFull = errors.New("client: buffer full")
	// ErrUnsent: the Conn was closed before all emits could be sent.
	ErrUnsent = errors.New("client: closed before all messages were sent")
	// ErrUnconfirmed: a confirmed emit may have been published. The error wraps
	// the last cause, too, such as ErrDisconnected.
	ErrUnconfirmed = errors.New("client: the message may have been published")
	// ErrNotPublished: the call has ended before a copy of a confirmed emit was
	// sent. The error wraps the cause, too. Other errors mean that nothing was
	// published as well, but for ErrUnconfirmed; see Room.Publish.
	ErrNotPublished = errors.New("client: the message was not published")
	// ErrNotText: the body of a text message is not valid UTF-8.
	ErrNotText = errors.New("client: text message is not valid UTF-8")
	// ErrIdle: the server sent nothing, or accepted no bytes, for
	// Options.IdleTimeout.
	ErrIdle = errors.New("client: idle timeout")
	// ErrAcknowledge: the server did not acknowledge the connection in time.
	ErrAcknowledge = errors.New("client: acknowledgement timeout")
	// ErrProtocol: the server violated RFC 6455.
	ErrProtocol = errors.New("client: protocol error of the server")
	// ErrTooBig: the server sent a message above Options.ReadLimit, or an
	// answer to the upgrade of more than 64 KiB; or the message is above
	// Options.MessageLimit and was not sent.
	ErrTooBig = errors.New("client: message too big")
	// ErrProxy: the proxy did not connect, or its kind is not supported.
	ErrProxy = errors.New("client: proxy")
	// ErrOptions: the address or the options of Dial, or the options of
	// JoinRoomWith or Publish, cannot work.
	ErrOptions = errors.New("client: bad options")

	// errNoToken: an identity cannot be renewed without a token.
	errNoToken = errors.New("client: Authenticate has returned no bearer token")
	// errAnswerSize is sent to the server in place of an answer above
	// Options.MessageLimit. The text is that of stoa-client.
	errAnswerSize = errors.New("message too big")
	errCloseFrame = fmt.Errorf("%w: malformed close frame", ErrProtocol)
	// errScheme: the kind of the proxy is not supported.
	errScheme = fmt.Errorf("%w: want http or https", ErrProxy)
)

// closedError has a text of its own; that of net.ErrClosed is about one network
// connection.
type closedError struct{}

// Error implements error.
func (closedError) Error() string { return "client: closed" }

// Is reports whether the target is net.ErrClosed.
func (closedError) Is(target error) bool { return target == net.ErrClosed }

// CloseError is the close frame with which the server closed the connection. It
// matches the same errors of package wire as a RefusedError with its code.
type CloseError struct {
	Code wire.Code
	// Reason is chosen by the server: quote it in logs.
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

// Unwrap returns the error of package wire for the code, if there is one.
func (e *CloseError) Unwrap() []error { return codeErrors(e.Code) }

// RefusedError is a refusal of the connection by the server. It matches
// wire.ErrUnauthorized (log in again) with the status 401 or
// wire.CodeUnauthorized, and wire.ErrForbidden with 403 or wire.CodeForbidden.
type RefusedError struct {
	// Status is that of the HTTP response, or zero if the upgraded connection
	// was refused in place of the acknowledgement.
	Status int
	// Code is that of the close frame after a refusal in place of the
	// acknowledgement, zero if there was none.
	Code wire.Code
	// Text is the reason of the refusal or the start of the HTTP body. It is
	// chosen by the server: quote it in logs.
	Text string

	retryAfter time.Duration // as the server suggests; 0: none
}

// Error implements error.
func (e *RefusedError) Error() string {
	text := ErrRefused.Error()
	switch {
	case e.Status != 0:
		text += " with status " + strconv.Itoa(e.Status)
	case e.Code != 0:
		text += fmt.Sprintf(" with %d %s", uint16(e.Code), e.Code)
	}
	// Most servers end the body with a line break.
	if reason := strings.TrimSpace(e.Text); reason != "" {
		text += ": " + strconv.Quote(reason)
	}
	return text
}

// Unwrap returns ErrRefused, for a refusal instead of the acknowledgement the
// error of package wire with its text, and that of the status or code.
func (e *RefusedError) Unwrap() []error {
	errs := []error{ErrRefused}
	if e.Status == 0 {
		errs = append(errs, wire.ErrorFor(e.Text))
	}
	switch {
	case e.Status == http.StatusUnauthorized:
		return append(errs, wire.ErrUnauthorized)
	case e.Status == http.StatusForbidden:
		return append(errs, wire.ErrForbidden)
	}
	return append(errs, codeErrors(e.Code)...)
}

// codeErrors returns the error of package wire for a close code, if there is
// one.
func codeErrors(code wire.Code) []error {
	switch code {
	case wire.CodeUnauthorized, wire.CodeExpired:
		return []error{wire.ErrUnauthorized}
	case wire.CodeForbidden:
		return []error{wire.ErrForbidden}
	}
	return nil
}
