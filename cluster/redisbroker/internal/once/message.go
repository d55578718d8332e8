package once

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

const (
	// Key is the class of the keys of IDs: <cluster>:o:<channel>:<hash>.
	Key = "o:"
	// hashBytes is the length of the hash in a key: IDs that users choose do
	// not have the same one.
	hashBytes = 16
	// Overhead is the memory for a message in addition to that of the queue.
	Overhead = 192
)

// errValue is the error for a key that has another kind of value.
var errValue = errors.New("the key of an ID has an unknown value")

// Message is the part of a queued message that publishes it once.
type Message struct {
	hash        [hashBytes]byte
	window      time.Duration
	fingerprint uint64
	position    cluster.Position
	done        func(cluster.Position, error) // nil: it was called
	over        bool
}

// New prepares a message. done is called by exactly one of the calls of Settle
// and Fail.
func New(env *cluster.Envelope, once cluster.Once, done func(cluster.Position, error)) *Message {
	m := &Message{window: once.Window, fingerprint: cluster.Fingerprint(env), done: done}
	sum := sha256.Sum256([]byte(once.ID))
	copy(m.hash[:], sum[:])
	return m
}

// Place sets the position that the message has in its channel if it is
// published.
func (m *Message) Place(p cluster.Position) { m.position = p }

// Over reports whether the message must not be sent any more: another one has
// its ID, or the server has refused it. If the server loses its data, and the
// message that has the ID, then only the publisher of that one sends it again.
// A node that has received it would not notice that this one is a repeat.
func (m *Message) Over() bool { return m.over }

// Waiting reports whether done was not called yet.
func (m *Message) Waiting() bool { return m.done != nil }

// KeyOf returns the key of the ID.
func (m *Message) KeyOf(prefix, channel string) string {
	return prefix + Key + channel + ":" + hex.EncodeToString(m.hash[:])
}

// Value returns the value of the ID.
func (m *Message) Value() string {
	text, _ := m.position.AppendText(make([]byte, 0, cluster.MaxPositionText+1+hashBytes)) // the error is nil
	return string(strconv.AppendUint(append(text, ' '), m.fingerprint, 16))
}

// WindowMillis returns the window, at least a millisecond.
func (m *Message) WindowMillis() int64 {
	return int64((m.window-1)/time.Millisecond + 1)
}

// Outcome is the meaning of a reply to the script.
type Outcome uint8

// The outcomes.
const (
	// Published is a message that is in the history.
	Published Outcome = iota + 1
	// Repeat is one that was not published, because its ID was known.
	Repeat
	// Refused is one that the server did not store.
	Refused
)

func (o Outcome) String() string {
	switch o {
	case Published:
		return "published"
	case Repeat:
		return "repeat"
	case Refused:
		return "refused"
	}
	return "invalid"
}

// Settle handles the reply to the script.
func (m *Message) Settle(reply string) (outcome Outcome, err error) {
	text, hash, _ := strings.Cut(reply, " ")
	position, valid := cluster.ParsePosition([]byte(text))
	fingerprint, err := strconv.ParseUint(hash, 16, 64)
	switch {
	case !valid || position.IsZero() || err != nil:
		m.Refuse(errValue)
		return Refused, errValue
	case position == m.position:
		m.finish(position, nil)
		return Published, nil
	case fingerprint != m.fingerprint:
		m.over = true
		m.finish(cluster.Position{}, cluster.ErrIDReused)
	default:
		m.over = true
		m.finish(position, nil)
	}
	return Repeat, nil
}

// Refuse ends a message that the server did not store.
func (m *Message) Refuse(reason error) {
	m.over = true
	m.Fail(reason)
}

// Fail calls done with an error, if it was not called yet.
func (m *Message) Fail(err error) { m.finish(cluster.Position{}, err) }

func (m *Message) finish(p cluster.Position, err error) {
	if done := m.done; done != nil {
		m.done = nil
		done(p, err)
	}
}
