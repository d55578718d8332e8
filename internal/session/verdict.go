package session

// Verdict says what became of a received payload. It is a closed set, fit for
// a metric label.
type Verdict uint8

// The verdicts.
const (
	// VerdictHandled: an acknowledgement or a system request, answered, handed
	// to the driver, or both.
	VerdictHandled Verdict = iota + 1
	// VerdictEvent: an emit or an ask, handed to Driver.Event.
	VerdictEvent
	// VerdictAnswer: the answer to an ask of this side.
	VerdictAnswer
	// VerdictLateAnswer: the answer to an ask of this side that has ended.
	VerdictLateAnswer
	// VerdictNative: a native message, handed to Driver.Event.
	VerdictNative
	// VerdictEmpty: a payload of zero bytes; the protocol skips it.
	VerdictEmpty
	// VerdictEarly: held back until the acknowledgement.
	VerdictEarly
	// VerdictBusy: not taken. Deferred requests come first: offer the same
	// payload again once Busy reports false.
	VerdictBusy
	// VerdictInvalid: no message, or a name in it is not valid UTF-8.
	VerdictInvalid
	// VerdictIgnored: a message without a meaning, for example a system request
	// without a token, or an error that answers nothing.
	VerdictIgnored
	// VerdictRefused: against a rule: the namespace is not connected, the room
	// is not joined, a name is too long, a limit is reached. The sender got an
	// error answer if it waits for one.
	VerdictRefused
	// VerdictEarlyOverflow: dropped, more came before the acknowledgement than
	// is held back. Nothing that follows makes sense: close the connection.
	VerdictEarlyOverflow
)

var verdictNames = [...]string{
	VerdictHandled:       "handled",
	VerdictEvent:         "event",
	VerdictAnswer:        "answer",
	VerdictLateAnswer:    "late_answer",
	VerdictNative:        "native",
	VerdictEmpty:         "empty",
	VerdictEarly:         "early",
	VerdictBusy:          "busy",
	VerdictInvalid:       "invalid",
	VerdictIgnored:       "ignored",
	VerdictRefused:       "refused",
	VerdictEarlyOverflow: "early_overflow",
}

// String returns the verdict in lower case with underscores.
func (v Verdict) String() string {
	if v == 0 || int(v) >= len(verdictNames) {
		return "unknown"
	}
	return verdictNames[v]
}
