package cluster

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Retention is how much of a channel's history is kept. A message leaves the
// history when one of the limits is exceeded.
type Retention struct {
	// Messages is the number of messages, at least 1.
	Messages int
	// Age is the time since a message was published, by the clock of the
	// broker's server; greater than 0. The history of a channel in which
	// nothing was published for so long takes no memory.
	Age time.Duration
	// Bytes is the size of the payloads, at least that of one message.
	Bytes int
	// Keys is the number of keys of which the newest message is kept in
	// addition; see Envelope.Key. Zero: none. Of these messages, too, the
	// oldest leave when their number, Age or Bytes is exceeded.
	Keys int
}

// Position is the place of a message in the history of its channel: which life
// of which node has published it, and the number that it had there. It is
// comparable. The zero value is no position.
//
// In one channel, the numbers of an incarnation grow in the channel's order. A
// message whose number is not greater than that of an earlier one is a repeat.
//
// The position of an empty history is one, too, but only its broker understands
// it: see HistoryPage.Head.
type Position struct {
	Incarnation, Number uint64
}

// IsZero reports whether p is no position.
func (p Position) IsZero() bool { return p == Position{} }

// startBit marks the numbers of start positions.
const startBit = 1 << 63

// IsStart reports whether p stands for an empty history, and not for a message.
func (p Position) IsStart() bool { return p.Number&startBit != 0 }

// StartPosition returns the position that stands for an empty history of a
// broker. Both values are the broker's; number is below 1<<63.
func StartPosition(incarnation, number uint64) Position {
	return Position{Incarnation: incarnation, Number: number | startBit}
}

// MaxPositionText is the length of the longest text of a position, in bytes.
const MaxPositionText = 24

// AppendText appends the text of a position, which consists of letters, digits,
// "-" and "_": nothing for the zero value. The error is nil.
func (p Position) AppendText(dst []byte) ([]byte, error) {
	if p.IsZero() {
		return dst, nil
	}
	var raw [8 + binary.MaxVarintLen64]byte
	binary.BigEndian.PutUint64(raw[:], p.Incarnation)
	n := 8 + binary.PutUvarint(raw[8:], p.Number)
	return base64.RawURLEncoding.AppendEncode(dst, raw[:n]), nil
}

// String returns the text of AppendText.
func (p Position) String() string {
	text, _ := p.AppendText(nil)
	return string(text)
}

// ParsePosition is the reverse of AppendText, and accepts nothing else: else ok
// is false. It does not allocate.
func ParsePosition(text []byte) (p Position, ok bool) {
	if len(text) == 0 {
		return Position{}, true
	}
	var raw [MaxPositionText]byte
	if len(text) > MaxPositionText {
		return Position{}, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(raw[:], text)
	if err != nil || n <= 8 {
		return Position{}, false
	}
	p.Incarnation = binary.BigEndian.Uint64(raw[:])
	number, size := binary.Uvarint(raw[8:n])
	p.Number = number
	var canonical [MaxPositionText]byte
	again, _ := p.AppendText(canonical[:0])
	if size != n-8 || p.IsZero() || string(again) != string(text) {
		return Position{}, false
	}
	return p, true
}

// Historian is implemented by brokers that keep the messages of channels, those
// with [Envelope.Keep]. The history of a channel has the order of the channel,
// and each message once.
//
// Without a Historian, Keep has no effect.
type Historian interface {
	// History reads a part of a channel's history. A message that was delivered
	// before the call is part of it, unless the retention or a failure has
	// removed it. It blocks until the answer or the end of ctx. It returns
	// ErrNotStarted before Start and ErrClosed after Close. The slices of the
	// page belong to the caller.
	History(ctx context.Context, channel string, query HistoryQuery) (HistoryPage, error)
	// RemoveFromHistory removes a message, and reports whether it was there. If
	// it is the newest of a key, no earlier one takes its place.
	RemoveFromHistory(ctx context.Context, channel string, position Position) (bool, error)
	// ClearHistory removes all messages of a channel.
	ClearHistory(ctx context.Context, channel string) error
}

// HistoryQuery selects messages of a channel's history.
type HistoryQuery struct {
	// Retention is that of the channel. A read keeps to it exactly, even where
	// the server keeps more.
	Retention Retention
	// After and Before exclude the messages up to, and from, a position. Zero
	// does not exclude any.
	After, Before Position
	// Limit is the largest number of messages in the page, at least 1.
	Limit int
	// Oldest selects the oldest of the messages; else a page has the newest
	// ones.
	Oldest bool
	// Latest asks for the newest message of each key in addition.
	Latest bool
}

// HistoryPage is a part of a channel's history.
type HistoryPage struct {
	// Entries are in the order of the channel.
	Entries []HistoryEntry
	// Found reports whether the history reaches back to After and Before, so
	// that no message is missing between them and the page but for Limit. It is
	// true if both are zero. If it is false, the history has no entry for one
	// of them: it is too old, was removed, or never existed. The page then
	// ignores that one.
	Found bool
	// More reports whether Limit has excluded messages.
	More bool
	// Head is the position of the newest message in the history, which the
	// query does not change. If the history is empty, it is a start position,
	// which a later query accepts as After: it finds all messages that were
	// kept since then, if none of them has left the history in the meantime,
	// and else is not found.
	Head Position
	// Latest are the newest messages of all keys, in the order of the channel,
	// up to the newest message of the history. Only Retention excludes any.
	Latest []HistoryEntry
}

// HistoryEntry is a kept message.
type HistoryEntry struct {
	// Envelope is the message with its Position. Keep is nil.
	Envelope Envelope
	// Time is when the message was kept, by the clock of the broker's server.
	Time time.Time
}

// InterruptionHandler is implemented by handlers that need to know when
// messages may have been missed. Brokers that are Interruptible call it.
type InterruptionHandler interface {
	// SubscriptionLost reports that messages of a partition may be missing
	// from now on, until Broker.Subscribe has returned nil for their channels
	// again. It is called after the last Deliver of the lost subscription and
	// before the first of its successor, while Interrupted is true. It must
	// neither block nor call the broker.
	SubscriptionLost(partition int)
}
