package connect

import (
	"time"

	"github.com/stoa-io/stoa/cmd/stoa/internal/dial"
)

// recordType is the kind of a record.
type recordType string

// The kinds of records, as in the JSON lines. docs/command-line.md lists their
// fields.
const (
	recordMessage      recordType = "message"      // an event arrived
	recordAsk          recordType = "question"     // an ask arrived
	recordNative       recordType = "native"       // a message outside of the protocol arrived
	recordAnswer       recordType = "answer"       // an ask of the user was answered
	recordState        recordType = "state"        // the connection changed its state
	recordConnected    recordType = "connected"    // to a namespace
	recordDisconnected recordType = "disconnected" // from a namespace
	recordJoined       recordType = "joined"       // a room
	recordLeft         recordType = "left"         // a room
	recordStatus       recordType = "status"       // output of the command "state"
	recordRooms        recordType = "rooms"        // output of the command "rooms"
	recordError        recordType = "error"        // a command failed
)

// record is one event that "stoa connect" shows.
type record struct {
	Time       time.Time    `json:"time"`
	Type       recordType   `json:"type"`
	Namespace  string       `json:"namespace,omitempty"`
	Room       string       `json:"room,omitempty"`
	Event      string       `json:"event,omitempty"`
	Body       string       `json:"body,omitempty"` // of the JSON line only
	Binary     bool         `json:"binary,omitempty"`
	Took       float64      `json:"took_ms,omitempty"`
	State      string       `json:"state,omitempty"`
	ID         string       `json:"id,omitempty"`
	Attempt    int          `json:"attempt,omitempty"`
	Delay      *int64       `json:"delay_ms,omitempty"`
	Code       uint16       `json:"code,omitempty"`
	Reason     string       `json:"reason,omitempty"`
	Forced     bool         `json:"forced,omitempty"`
	Command    string       `json:"command,omitempty"`
	Line       int          `json:"line,omitempty"`
	Error      string       `json:"error,omitempty"`
	Namespaces []membership `json:"namespaces,omitempty"`

	body  []byte
	again bool // of a state: it was connected before
}

// membership is a namespace with its joined rooms.
type membership struct {
	Namespace string   `json:"namespace"`
	Rooms     []string `json:"rooms"`
}

// destination returns the namespace and room of the record.
func (r *record) destination() dial.Destination {
	return dial.Destination{Namespace: r.Namespace, Room: r.Room}
}
