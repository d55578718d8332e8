package wire

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// The errors that travel as texts. Error() is exactly the text on the wire,
// without the package's prefix: peers compare it, and ErrorFor turns it back
// into the value.
var (
	// Fixed by the protocol (protocol.md section 10).

	// ErrBadNamespace: the namespace does not exist or is not connected.
	ErrBadNamespace = errors.New("bad namespace")
	// ErrBadRoom: the room does not exist or is not joined.
	ErrBadRoom = errors.New("bad room")
	// ErrClosed: the connection is closed or was lost before the answer.
	ErrClosed = errors.New("write closed")
	// ErrInvalidPayload: fewer than six semicolons, or parameters of a request
	// that cannot be read (protocol.md section 14).
	ErrInvalidPayload = errors.New("invalid payload")

	// Stoa's own.

	// ErrUnhandled: nothing handles the event of an ask.
	ErrUnhandled = errors.New("unhandled event")
	// ErrNameTooLong: the token or a name is longer than its limit.
	ErrNameTooLong = errors.New("name too long")
	// ErrInvalidName: the token or a name is not valid UTF-8.
	ErrInvalidName = errors.New("invalid name")
	// ErrTooManyNamespaces: the connection may not connect to one more
	// namespace.
	ErrTooManyNamespaces = errors.New("too many namespaces")
	// ErrTooManyRooms: the connection may not join one more room.
	ErrTooManyRooms = errors.New("too many rooms")
	// ErrTimeout: no answer came in time.
	ErrTimeout = errors.New("timeout")
	// ErrUnauthorized: the client must log in, or log in again. A
	// DetailedError may say for what.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden: the request is understood and not allowed. A DetailedError
	// may say which permission is missing.
	ErrForbidden = errors.New("forbidden")
	// ErrUnavailable: the request cannot be served now; it may be repeated
	// later.
	ErrUnavailable = errors.New("unavailable")
	// ErrGone: the connection that was asked does not exist any more, or its
	// node does not.
	ErrGone = errors.New("gone")
	// ErrNobody: the room that was asked has no other members.
	ErrNobody = errors.New("nobody there")
	// ErrTooManyAsks: the connection has as many asks open as it may.
	ErrTooManyAsks = errors.New("too many asks")
	// ErrRoomFull: the room has as many members as it may.
	ErrRoomFull = errors.New("room full")
	// ErrTooBig: the message is larger than its namespace allows.
	ErrTooBig = errors.New("message too big")
	// ErrIDReused: the ID of a confirmed emit is that of another message
	// (protocol.md section 16).
	ErrIDReused = errors.New("id reused")
	// ErrInternal: the peer's handler panicked.
	ErrInternal = errors.New("internal error")
)

// texts is the table of the errors above by their text; never written after
// initialization.
var texts = textTable(
	ErrBadNamespace, ErrBadRoom, ErrClosed, ErrInvalidPayload,
	ErrUnhandled, ErrNameTooLong, ErrInvalidName,
	ErrTooManyNamespaces, ErrTooManyRooms,
	ErrTimeout, ErrUnauthorized, ErrForbidden, ErrUnavailable,
	ErrGone, ErrNobody, ErrTooManyAsks, ErrRoomFull, ErrTooBig, ErrIDReused, ErrInternal,
)

func textTable(all ...error) map[string]error {
	table := make(map[string]error, len(all))
	for _, err := range all {
		table[err.Error()] = err
	}
	return table
}

// DetailedError is ErrUnauthorized or ErrForbidden with a text that says for
// what, such as the missing permission. It travels as the text of the error, a
// colon, a blank and the detail, and matches the error with errors.Is. Values
// are comparable.
type DetailedError struct {
	// Err is ErrUnauthorized or ErrForbidden; other errors have no details.
	Err error
	// Detail is for people. A peer may have chosen it: quote it in logs.
	Detail string
}

// detailSeparator is between an error text and its detail.
const detailSeparator = ": "

// Error returns the text as it travels.
func (e DetailedError) Error() string { return e.Err.Error() + detailSeparator + e.Detail }

// Unwrap returns Err.
func (e DetailedError) Unwrap() error { return e.Err }

// detailed returns the error for a text with a detail, nil for any other text.
func detailed(text string) error {
	before, detail, found := strings.Cut(text, detailSeparator)
	if found && (before == ErrUnauthorized.Error() || before == ErrForbidden.Error()) {
		return DetailedError{texts[before], detail}
	}
	return nil
}

// serverErrors are the errors that only a server can report: they are about the
// reachability of clients.
var serverErrors = []error{ErrClosed, ErrTimeout, ErrGone, ErrNobody, ErrTooManyAsks}

// IsServerError reports whether only a server can report the error.
func IsServerError(err error) bool { return slices.Contains(serverErrors, err) }

// Errors returns the errors that travel as texts, in the order of their texts.
// The slice is the caller's own.
func Errors() []error {
	return slices.SortedFunc(maps.Values(texts), func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
}

// remotePrefix marks the text of a client that is also that of an error of this
// package.
const remotePrefix = "remote: "

// ClientError returns the error of a server for an error text that a client has
// chosen. It is a RemoteError and never an error of this package: a text that
// would stand for one is prefixed with "remote: ".
func ClientError(text string) error {
	err := ErrorFor(text)
	if _, ok := err.(RemoteError); ok {
		return err
	}
	return RemoteError(remotePrefix + text)
}

// RemoteError is an error text of the peer that is none of this package's
// own. The peer chose the bytes: quote them before they reach a log.
type RemoteError string

// Error returns the text as the peer sent it.
func (e RemoteError) Error() string { return string(e) }

// ErrorFor resolves an error text from the wire to the error value of this
// package with exactly that text, to a DetailedError, or else to a RemoteError.
// The result is never nil: an empty text is an error too (protocol.md, bug
// B15).
func ErrorFor(text string) error {
	if err, ok := texts[text]; ok {
		return err
	}
	if err := detailed(text); err != nil {
		return err
	}
	if text == "" {
		return RemoteError(genericError)
	}
	return RemoteError(text)
}
