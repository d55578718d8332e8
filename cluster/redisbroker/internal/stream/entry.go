package stream

import (
	"cmp"
	"math"
	"strconv"
	"strings"

	"github.com/stoa-io/stoa/cluster"
)

// The fields of entries. Each entry has one.
const (
	// FieldMessage has the envelope of a message that is sent for the first
	// time.
	FieldMessage = "e"
	// FieldAgain has that of a message that may be a repeat.
	FieldAgain = "r"
	// FieldRemoval marks the time at which messages were removed.
	FieldRemoval = "d"
	// FieldGap marks the time up to which messages may be missing. It is in a
	// stream of its own.
	FieldGap = "g"
)

// Kind is the meaning of an entry.
type Kind uint8

// The kinds of entries.
const (
	// Message is a message that is sent for the first time.
	Message Kind = iota + 1
	// Again is a message that may be a repeat.
	Again
	// Repeat is one that Repeats has found to be a repeat.
	Repeat
	// Removal marks that messages were removed.
	Removal
	// Unknown is an entry that this version cannot read.
	Unknown
)

func (k Kind) String() string {
	switch k {
	case Message:
		return "message"
	case Again:
		return "again"
	case Repeat:
		return "repeat"
	case Removal:
		return "removal"
	case Unknown:
		return "unknown"
	}
	return "invalid"
}

// Entry is an entry of a stream.
type Entry struct {
	ID       ID
	Kind     Kind
	Position cluster.Position // of a message
	Size     int              // of its payload
	// Resent: no position up to this place tells what a client has received;
	// see cluster.Envelope.
	Resent bool
	Data   string // its envelope
}

// ID is the ID of an entry: the time of the server in milliseconds, and a
// number within it. The IDs of a stream grow.
type ID struct{ Time, Sequence uint64 }

// ParseID reads an ID.
func ParseID(text string) (id ID, ok bool) {
	first, second, found := strings.Cut(text, "-")
	if !found {
		return ID{}, false
	}
	var err1, err2 error
	id.Time, err1 = strconv.ParseUint(first, 10, 64)
	id.Sequence, err2 = strconv.ParseUint(second, 10, 64)
	if err1 != nil || err2 != nil || id.Time > math.MaxInt64 || id.String() != text {
		return ID{}, false
	}
	return id, true
}

func (id ID) String() string {
	return strconv.FormatUint(id.Time, 10) + "-" + strconv.FormatUint(id.Sequence, 10)
}

// Compare returns a negative number if id is older than other.
func (id ID) Compare(other ID) int {
	return cmp.Or(cmp.Compare(id.Time, other.Time), cmp.Compare(id.Sequence, other.Sequence))
}
