package wire

import (
	"strconv"

	"github.com/stoa-io/stoa/internal/closecode"
)

// Code is a WebSocket close code.
type Code uint16

// The close codes that Stoa sends or gives a meaning to. Below 4000 they are
// those of RFC 6455 section 7.4.1 and of the registry that it opened; from
// 4000 on they are Stoa's own.
const (
	CodeNormal          Code = 1000
	CodeGoingAway       Code = 1001
	CodeProtocolError   Code = 1002
	CodeUnsupportedData Code = 1003
	CodeNoStatus        Code = 1005
	CodeAbnormal        Code = 1006
	CodeInvalidData     Code = 1007
	CodePolicy          Code = 1008
	CodeTooBig          Code = 1009
	CodeInternalError   Code = 1011
	CodeServiceRestart  Code = 1012
	CodeTryAgainLater   Code = 1013
	CodeSlowConsumer    Code = 4000
	CodeInvalidFlood    Code = 4001
	CodePingTimeout     Code = 4002
	CodeAckTimeout      Code = 4003
	CodeExpired         Code = 4004 // the identity has ended: authenticate anew
	CodeUnauthorized    Code = 4401 // as the HTTP status 401: log in again
	CodeForbidden       Code = 4403 // as the HTTP status 403: not allowed
	CodeReplaced        Code = 4409 // the user has connected again, too often for this connection
	CodeRateExceeded    Code = 4429 // as the HTTP status 429: the client sends too much
)

// Sender says which side sends a close code.
type Sender uint8

// The senders of a code. SenderNone: the code is never sent, and stands for a
// connection that ended without one.
const (
	SenderNone Sender = iota + 1
	SenderNode
	SenderEither
)

// String returns the sender as one lower-case word.
func (s Sender) String() string {
	switch s {
	case SenderNone:
		return "none"
	case SenderNode:
		return "node"
	case SenderEither:
		return "either"
	}
	return "invalid"
}

// CodeInfo describes one close code.
type CodeInfo struct {
	Code Code
	// Name is what String returns.
	Name string
	// Label is what Label returns.
	Label string
	// Sender is the side that sends the code.
	Sender Sender
	// Retry says whether a client should connect again, after a back-off. After
	// CodeExpired it must have new credentials.
	Retry bool
}

// codes is the one table of close codes, in ascending order; never written.
var codes = [...]CodeInfo{
	{CodeNormal, "normal closure", "normal", SenderEither, false},
	{CodeGoingAway, "going away", "going_away", SenderEither, true},
	{CodeProtocolError, "protocol error", "protocol_error", SenderEither, false},
	{CodeUnsupportedData, "unsupported data", "unsupported_data", SenderEither, false},
	{CodeNoStatus, "no status", "no_status", SenderNone, true},
	{CodeAbnormal, "abnormal closure", "abnormal", SenderNone, true},
	{CodeInvalidData, "invalid data", "invalid_data", SenderEither, false},
	{CodePolicy, "policy violation", "policy", SenderNode, false},
	{CodeTooBig, "message too big", "too_big", SenderEither, false},
	{CodeInternalError, "internal error", "internal_error", SenderEither, true},
	{CodeServiceRestart, "service restart", "service_restart", SenderNode, true},
	{CodeTryAgainLater, "try again later", "try_again_later", SenderNode, true},
	{CodeSlowConsumer, "slow consumer", "slow_consumer", SenderNode, true},
	{CodeInvalidFlood, "invalid payload flood", "invalid_payload_flood", SenderNode, false},
	{CodePingTimeout, "ping timeout", "ping_timeout", SenderNode, true},
	{CodeAckTimeout, "acknowledge timeout", "acknowledge_timeout", SenderNode, true},
	{CodeExpired, "identity expired", "identity_expired", SenderNode, true},
	{CodeUnauthorized, "unauthorized", "unauthorized", SenderNode, false},
	{CodeForbidden, "forbidden", "forbidden", SenderNode, false},
	{CodeReplaced, "replaced", "replaced", SenderNode, false},
	{CodeRateExceeded, "rate exceeded", "rate_exceeded", SenderNode, true},
}

// Codes returns the table of close codes in ascending order. The slice is the
// caller's own.
func Codes() []CodeInfo {
	return append([]CodeInfo(nil), codes[:]...)
}

// Info returns the row of a code in the table; ok is false for a code that is
// not in the table.
func (c Code) Info() (info CodeInfo, ok bool) {
	for i := range codes {
		if codes[i].Code == c {
			return codes[i], true
		}
	}
	return CodeInfo{}, false
}

// String returns the name of a code in the table, else "code" and the number.
func (c Code) String() string {
	if info, ok := c.Info(); ok {
		return info.Name
	}
	return "code " + strconv.Itoa(int(c))
}

// Label returns the code's metric label: one of the table's, or "other" for a
// code that a peer made up.
func (c Code) Label() string {
	if info, ok := c.Info(); ok {
		return info.Label
	}
	return "other"
}

// Sendable reports whether a close frame may carry the code: RFC 6455 section
// 7.4 and the registry that it opened.
func (c Code) Sendable() bool { return closecode.Sendable(uint16(c)) }

// Retry reports whether a client should connect again after this code. For a
// code that is not in the table it should: the server may be newer.
func (c Code) Retry() bool {
	info, ok := c.Info()
	return !ok || info.Retry
}
