package golden

import (
	"bytes"
	"encoding/json"
)

// Side is one end of a conversation.
type Side string

// The two sides.
const (
	Client Side = "client"
	Server Side = "server"
)

// Op says what kind of frame or event on the TCP connection was seen.
type Op string

// The kinds. TCPFin and TCPReset are no frames: From ended the TCP connection.
const (
	Text         Op = "text"
	Binary       Op = "binary"
	Continuation Op = "continuation"
	Ping         Op = "ping"
	Pong         Op = "pong"
	Close        Op = "close"
	TCPFin       Op = "tcp-fin"
	TCPReset     Op = "tcp-rst"
)

// Conversation is one recording.
type Conversation struct {
	// Group is the name of the file without its ending.
	Group string `json:"-"`
	// ID is unique over all groups.
	ID    string `json:"id"`
	Title string `json:"title"`
	// Client names the client that was recorded.
	Client string `json:"client"`
	// Server is "neffos", which plays the profile of profile.json, or
	// "scripted": it sent what the conversation needed.
	Server string `json:"server"`
	// Path is what the first connection asked for.
	Path        string       `json:"path"`
	Connections []Connection `json:"connections"`
	// HTTP holds requests and responses where they are the point, else nil.
	HTTP json.RawMessage `json:"http"`
	Note string          `json:"note"`
	// Quirk is client behavior that a server must live with.
	Quirk string `json:"quirk"`
	// Bug is not empty if the recorded behavior is a bug; a better server
	// answers differently.
	Bug string `json:"bug"`
	// Nondeterministic describes possible differences between two recordings.
	Nondeterministic string `json:"nondeterministic"`
	// ServerInitiated: frames of the server were triggered from outside, the
	// frames of the client alone do not bring them about.
	ServerInitiated bool `json:"serverInitiated"`
	// Placeholders are the values that a peer made up; the frames contain
	// them as recorded.
	Placeholders []Placeholder `json:"placeholders"`
	Frames       []Frame       `json:"frames"`
	// AlternativeFrames are whole recordings that are as good as Frames.
	AlternativeFrames [][]Frame  `json:"alternativeFrames"`
	ServerCallbacks   []Callback `json:"serverCallbacks"`
	ClientCallbacks   []Callback `json:"clientCallbacks"`
	// Observed is what else the client's and the server's API said, in the
	// recording's own words.
	Observed map[string]json.RawMessage `json:"observed"`
}

// Connection is one connection of a conversation.
type Connection struct {
	Name   string `json:"name"`
	Method string `json:"method"`
	Path   string `json:"path"`
}

// Placeholder is a value that would be another one in the next recording.
type Placeholder struct {
	Name string `json:"name"`
	// Kind is "token" or "id".
	Kind   string `json:"kind"`
	MadeBy Side   `json:"madeBy"`
	Value  string `json:"value"`
}

// Frame is one frame, or the end of a TCP connection.
type Frame struct {
	Conn string
	From Side
	Op   Op
	// Final is false for all but the last fragment of a message.
	Final bool
	// Payload is empty for Close, TCPFin and TCPReset.
	Payload []byte
	// Code is a close code, 0 for a close frame without one.
	Code   uint16
	Reason string
}

// UnmarshalJSON puts the payload together from the ways to write it.
func (f *Frame) UnmarshalJSON(text []byte) error {
	var file struct {
		Conn   string `json:"conn"`
		From   Side   `json:"from"`
		Op     Op     `json:"op"`
		Final  *bool  `json:"fin"`
		Data   string `json:"data"`
		Base64 []byte `json:"base64"`
		Repeat struct {
			Text   string `json:"text"`
			Times  int    `json:"times"`
			SHA256 string `json:"sha256"`
		} `json:"repeat"`
		Code   uint16 `json:"code"`
		Reason string `json:"reason"`
	}
	if err := decode(text, &file); err != nil {
		return err
	}
	payload := append([]byte(file.Data), file.Base64...)
	payload = append(payload, bytes.Repeat([]byte(file.Repeat.Text), file.Repeat.Times)...)
	*f = Frame{
		Conn: file.Conn, From: file.From, Op: file.Op, Payload: payload,
		Final: file.Final == nil || *file.Final,
		Code:  file.Code, Reason: file.Reason,
	}
	return nil
}

// Callback is one call of a handler.
type Callback struct {
	// Text is set instead of everything else for a line of the log that is no
	// handler's, for example the end of the connection.
	Text      string
	Event     string
	Namespace string
	Room      string
	Body      []byte
	// Error is the error text that came with the message.
	Error string
	// Flags are local, forced, binary and native; neffos' internal ones are
	// kept as recorded.
	Flags []string
}

// UnmarshalJSON puts the body together from the two ways to write it.
func (c *Callback) UnmarshalJSON(text []byte) error {
	var file struct {
		Text       string   `json:"text"`
		Event      string   `json:"event"`
		Namespace  string   `json:"namespace"`
		Room       string   `json:"room"`
		Body       string   `json:"body"`
		BodyBase64 []byte   `json:"bodyBase64"`
		Error      string   `json:"error"`
		Flags      []string `json:"flags"`
	}
	if err := decode(text, &file); err != nil {
		return err
	}
	*c = Callback{
		Text: file.Text, Event: file.Event, Namespace: file.Namespace, Room: file.Room,
		Body:  append([]byte(file.Body), file.BodyBase64...),
		Error: file.Error, Flags: file.Flags,
	}
	return nil
}

// Has reports whether the callback carries a flag.
func (c Callback) Has(flag string) bool {
	for _, have := range c.Flags {
		if have == flag {
			return true
		}
	}
	return false
}

// decode refuses unknown fields: a misspelled one would silently weaken a test.
func decode(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}
