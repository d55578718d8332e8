package load

import "time"

// An Action says what a Client does.
type Action string

// The actions, with the fields of a Command that they use.
const (
	ActionOpen    Action = "open"    // open Count connections and the publishers, keep them
	ActionPing    Action = "ping"    // ping every connection, wait for all pongs
	ActionPublish Action = "publish" // keep Outstanding messages in flight in every room
	ActionPace    Action = "pace"    // publish Rate messages per second into every room
	ActionOperate Action = "operate" // every connection alternately joins and leaves its room
	ActionSetUp   Action = "setup"   // open Count connections, close each after its join
	ActionAsk     Action = "ask"     // every connection keeps Outstanding asks in flight
	ActionRound   Action = "round"   // the connections ask in turn, Outstanding asks in flight in total
	ActionEmit    Action = "emit"    // every connection emits Outstanding events with an ask, repeats after its answer
)

// A Command is one order to a Client, which answers it with one Report.
type Command struct {
	Action    Action
	Address   string `json:",omitempty"` // host:port of the server for new connections
	ServerPID int    `json:",omitempty"` // the process whose CPU time to read
	OtherPIDs []int  `json:",omitempty"` // more processes whose CPU time to read

	// Tokens are bearer tokens; the upgrade requests take them in turn.
	Tokens []string `json:",omitempty"`
	// Positions makes the members clients that know positions: they announce
	// it, and each message has to carry one.
	Positions bool `json:",omitempty"`

	Count   int  `json:",omitempty"` // connections
	First   int  `json:",omitempty"` // number of the first one; decides its room
	PerRoom int  `json:",omitempty"` // connection i belongs to room i / PerRoom; zero: to room i modulo Rooms
	Rooms   int  `json:",omitempty"`
	Outside bool `json:",omitempty"` // do not join the room yet
	// Publishers adds to every room one connection that publishes. As the
	// sender it receives nothing.
	Publishers bool `json:",omitempty"`

	Outstanding int           `json:",omitempty"`
	Rate        float64       `json:",omitempty"`
	Duration    time.Duration `json:",omitempty"`
	Latencies   bool          `json:",omitempty"` // record latencies while publishing; ActionPace always does
}

// A Report is the outcome of a command. Nothing is in flight when its interval
// begins, nor when it ends.
type Report struct {
	Error      string `json:",omitempty"`
	Messages   uint64 // published
	Deliveries uint64 // received, each verified
	Operations uint64 // joins and leaves answered, connections set up, asks answered, or emits handled
	Elapsed    time.Duration
	ServerCPU  time.Duration
	OtherCPU   []time.Duration `json:",omitempty"` // of OtherPIDs
	ClientCPU  time.Duration
	// P50 and P99 are percentiles of the time from just before a publisher
	// writes a message to just after a member reads it. They are zero without
	// latencies.
	P50, P99 time.Duration
}
