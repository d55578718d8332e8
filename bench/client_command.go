//go:build linux

package main

import "time"

// An action is what the controller has a client do.
type action string

const (
	actionOpen    action = "open"    // open Count connections (and publishers), keep them
	actionPing    action = "ping"    // ping every connection, wait for all pongs
	actionPublish action = "publish" // keep Outstanding messages under way in every room
	actionPace    action = "pace"    // publish Rate messages a second into every room
	actionOperate action = "operate" // every connection joins and leaves its room in turn
	actionSetUp   action = "setup"   // open Count connections, close each when it has joined
	actionAsk     action = "ask"     // every connection keeps Outstanding asks under way
	actionRound   action = "round"   // the connections ask in turn, Outstanding asks under way in all of them together
	actionEmit    action = "emit"    // every connection emits Outstanding events and an ask, until that is answered
)

// A command is one line of JSON to a client; the answer is one report.
type command struct {
	Action    action
	Address   string `json:",omitempty"` // of the server that new connections are opened to, host:port
	ServerPID int    `json:",omitempty"` // whose CPU time to read
	OtherPIDs []int  `json:",omitempty"` // more processes whose CPU time to read

	Count   int  `json:",omitempty"` // connections
	First   int  `json:",omitempty"` // number of the first one; decides its room
	PerRoom int  `json:",omitempty"` // connection i belongs to room i / PerRoom; zero: to room i modulo Rooms
	Rooms   int  `json:",omitempty"`
	Outside bool `json:",omitempty"` // do not join the room yet
	// Publishers adds to every room one connection that publishes and, as the
	// sender, gets nothing.
	Publishers bool `json:",omitempty"`

	Outstanding int           `json:",omitempty"`
	Rate        float64       `json:",omitempty"`
	Duration    time.Duration `json:",omitempty"`
	Latencies   bool          `json:",omitempty"` // keep latencies while publishing; a paced run always does
}

// A report is what came of a command. Nothing is outstanding when the interval
// that it is about begins, nor when it ends.
type report struct {
	Error      string `json:",omitempty"`
	Messages   uint64 // published
	Deliveries uint64 // received, each verified
	Operations uint64 // joins and leaves answered, connections set up, asks answered, or emits handled
	Elapsed    time.Duration
	ServerCPU  time.Duration
	OtherCPU   []time.Duration `json:",omitempty"` // of OtherPIDs
	ClientCPU  time.Duration
	// P50 and P99 of the time from the moment before a message is written by its
	// publisher to the moment after it is read by a member; only of a run that
	// keeps latencies.
	P50, P99 time.Duration
}
