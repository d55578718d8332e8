package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// recordType says what a record of "stoa connect" is about.
type recordType string

// The types, as they stand in the JSON lines; docs/command-line.md lists their fields.
const (
	recordMessage      recordType = "message"      // an event arrived
	recordQuestion     recordType = "question"     // an ask arrived
	recordNative       recordType = "native"       // a message arrived that is not of the protocol
	recordAnswer       recordType = "answer"       // an ask of the user was answered
	recordState        recordType = "state"        // the connection's state has changed
	recordConnected    recordType = "connected"    // to a namespace
	recordDisconnected recordType = "disconnected" // from a namespace
	recordJoined       recordType = "joined"       // a room
	recordLeft         recordType = "left"         // a room
	recordStatus       recordType = "status"       // what the user asked for with "state"
	recordRooms        recordType = "rooms"        // what the user asked for with "rooms"
	recordError        recordType = "error"        // a command has failed
)

// record is one thing that "stoa connect" shows.
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
	again bool // a state: it was connected before
}

// membership is a namespace with the rooms that are joined there.
type membership struct {
	Namespace string   `json:"namespace"`
	Rooms     []string `json:"rooms"`
}

// place is where the record belongs to.
func (r *record) place() place { return place{r.Namespace, r.Room} }

// jsonLine is the record for programs, with a line break.
func jsonLine(r record) []byte {
	r.Body = string(r.body)
	if r.Binary {
		r.Body = base64.StdEncoding.EncodeToString(r.body)
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		panic(err) // a record holds nothing that could not be encoded
	}
	return escapeLine(line.Bytes())
}

// escapeLine escapes what encoding/json leaves as it is and a terminal would not simply
// draw. Outside of strings JSON has no such characters.
func escapeLine(line []byte) []byte {
	escaped := make([]byte, 0, len(line))
	for len(line) > 0 {
		r, size := utf8.DecodeRune(line)
		switch high, low := utf16.EncodeRune(r); {
		case r == '\n' || !notShown(r):
			escaped = append(escaped, line[:size]...)
		case high != utf8.RuneError:
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
		line = line[size:]
	}
	return escaped
}
