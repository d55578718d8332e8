package session_test

import "github.com/stoa-io/stoa/internal/golden"

// untestable are the conversations that say nothing about a session.
var untestable = map[string]string{
	"http-head":               "HTTP only",
	"http-post":               "HTTP only",
	"http-get-gobwas":         "HTTP only",
	"http-get-gorilla":        "HTTP only",
	"http-subprotocol":        "HTTP only: the client drops the connection before the hello",
	"ws-invalid-utf8-gobwas":  "whoever reads frames refuses text that is not UTF-8; it never reaches a session",
	"ws-invalid-utf8-gorilla": "as above; relaying such text kills browsers (bug B12)",
}

// difference is a deliberate difference between a session and a recording.
// The numbers in the reasons are sections of protocol.md, the bugs those of
// its section 12.
type difference struct {
	reason string
	// frames are all frames of this side by connection, those that are not text
	// with their type in front; nil: as recorded.
	frames map[string][]string
	// callbacks are all callbacks of this side; nil: as recorded.
	callbacks []string
}

// differences are by side, then by conversation.
var differences = map[golden.Side]map[string]difference{
	golden.Server: serverDifferences,
	golden.Client: clientDifferences,
}
