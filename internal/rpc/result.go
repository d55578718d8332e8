package rpc

import "github.com/stoa-io/stoa/wire"

// result is why a room call has no answer. If members differ, the greatest one
// counts.
type result int32

const (
	resultNobody      result = iota // no member was asked
	resultUnhandled                 // a member has no handler for the event
	resultUnavailable               // a member cannot be asked now
	resultTimeout                   // a member was asked and is silent
)

var resultErrors = [...]error{
	resultNobody:      wire.ErrNobody,
	resultUnhandled:   wire.ErrUnhandled,
	resultUnavailable: wire.ErrUnavailable,
	resultTimeout:     wire.ErrTimeout,
}

func (r result) err() error { return resultErrors[r] }

// resultOf is the result in the OpDone of a node. An unknown text is that of a
// newer node.
func resultOf(text string) result {
	if text == "" {
		return resultNobody
	}
	for r, err := range resultErrors {
		if text == err.Error() {
			return result(r)
		}
	}
	return resultUnhandled
}
