package hub

import "github.com/stoa-io/stoa/internal/engine"

// MessageResult is what became of a message that a client sent.
type MessageResult uint8

// The results of a message.
const (
	MessageSystem     MessageResult = iota // acknowledge, connect, disconnect, join, leave
	MessageRelayed                         // an emit or ask that was published
	MessageAnswer                          // an answer to an ask of this node
	MessageLateAnswer                      // an answer to an ask that had ended
	MessageUnhandled                       // an event without a handler; an ask was answered so
	MessageRefused                         // breaks a rule: not connected, not joined, a limit
	MessageIgnored                         // has no meaning where it arrived
	MessageInvalid                         // malformed
	MessageDropped                         // accepted, and lost all the same
	MessageHandled                         // given to a handler of the application
	MessageResults                         // how many there are
)

// String returns the result in lower-case words joined by "_".
func (r MessageResult) String() string {
	return [...]string{"system", "relayed", "answer", "late_answer", "unhandled", "refused",
		"ignored", "invalid", "dropped", "handled", "unknown"}[min(r, MessageResults)]
}

// LimitKind is a limit for which no other counter stands.
type LimitKind uint8

// The limits.
const (
	LimitNames      LimitKind = iota // the length of a token or a name
	LimitNamespaces                  // of a connection
	LimitRooms                       // of a connection
	LimitAsks                        // open asks of a connection to other clients
	LimitAskTime                     // such an ask was not answered in time
	LimitJoinTime                    // the broker did not subscribe in time
	LimitKinds                       // how many there are
)

// String returns the limit in lower-case words joined by "_".
func (k LimitKind) String() string {
	return [...]string{"names", "namespaces", "rooms", "asks", "ask_time", "join_time", "unknown"}[min(k, LimitKinds)]
}

// CloseKey is a kind of close as it is counted. Code comes from a closed set,
// see wire.Code.Label.
type CloseKey struct {
	Code      string
	Initiator engine.Initiator
}

// Stats is what one shard counts, with its loop.
type Stats struct {
	Engine engine.Stats

	// State.
	Rooms       int // rooms with a member on this loop
	Memberships int
	Users       int // users with a connection on this loop
	UserConns   int // connections of users
	InboxBytes  int // deliveries waiting for the loop
	QueuedBytes int // in all queues that Limits.QueueMemory of the engine bounds

	// Counters.
	MessagesIn        [2][MessageResults]uint64 // by frame type (0 text, 1 binary) and result
	LimitsExceeded    [LimitKinds]uint64        // messages and requests beyond a limit
	MessagesOut       uint64                    // data frames queued, deliveries not included
	Deliveries        uint64                    // one per message and member
	AsksSkipped       uint64                    // asks that were not sent to a client with too many open ones
	DeliveriesDropped uint64                    // to members whose send queue has exceeded its limit
	VolatileCongested uint64                    // volatile messages that a full queue has not taken; of the hub
	SendQueueExceeded uint64                    // send queues that exceeded their limit
	SendersPaused     uint64                    // pauses of senders whose messages met such a queue
	SharesExceeded    uint64                    // pauses of connections whose messages wait to be delivered
	ExpiryNotices     uint64                    // notices to clients that their identity ends
	Renewals          [RenewalResults]uint64    // tokens that clients handed in
	JoinsDelayed      uint64                    // times that requests of a connection began to wait for their rate
	Closes            map[CloseKey]uint64
}

func (s *Stats) add(o *Stats) {
	s.Engine.Add(&o.Engine)
	s.Rooms += o.Rooms
	s.Memberships += o.Memberships
	s.Users += o.Users
	s.UserConns += o.UserConns
	s.InboxBytes += o.InboxBytes
	s.QueuedBytes += o.QueuedBytes
	for i := range o.MessagesIn {
		for j := range o.MessagesIn[i] {
			s.MessagesIn[i][j] += o.MessagesIn[i][j]
		}
	}
	for i, n := range o.LimitsExceeded {
		s.LimitsExceeded[i] += n
	}
	s.MessagesOut += o.MessagesOut
	s.Deliveries += o.Deliveries
	s.AsksSkipped += o.AsksSkipped
	s.DeliveriesDropped += o.DeliveriesDropped
	s.SendQueueExceeded += o.SendQueueExceeded
	s.SendersPaused += o.SendersPaused
	s.SharesExceeded += o.SharesExceeded
	s.ExpiryNotices += o.ExpiryNotices
	for i, n := range o.Renewals {
		s.Renewals[i] += n
	}
	s.JoinsDelayed += o.JoinsDelayed
	for k, n := range o.Closes {
		s.Closes[k] += n
	}
}

// Stats returns the counters of the shard and its loop. It belongs to the loop.
func (s *Shard) Stats() Stats {
	now := s.stats
	now.Engine = s.loop.Stats()
	now.Closes = make(map[CloseKey]uint64, len(s.stats.Closes))
	for k, n := range s.stats.Closes {
		now.Closes[k] = n
	}
	now.QueuedBytes = now.Engine.QueueBytes + s.QueuedBytes()
	now.Rooms = s.index.Rooms()
	now.Memberships = s.index.Memberships()
	now.Users = len(s.users)
	s.inbox.mu.Lock()
	now.InboxBytes = s.inbox.bytes
	s.inbox.mu.Unlock()
	return now
}

// Stats gathers a snapshot of all loops. It waits for each to end its turn.
func (h *Hub) Stats() Stats {
	total := Stats{Engine: h.server.Stats(), Closes: make(map[CloseKey]uint64)}
	for i := range h.shards {
		one := h.shardStats(i)
		total.add(&one)
	}
	total.VolatileCongested = h.volatileDropped.Load()
	return total
}

func (h *Hub) shardStats(number int) Stats {
	h.mu.Lock()
	started, ended := h.started, h.last[number]
	h.mu.Unlock()
	if ended != nil {
		return *ended
	}
	if !started {
		return Stats{}
	}
	t := &statsTask{answer: make(chan Stats, 1)}
	if h.shards[number].Submit(t) {
		return <-t.answer
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return *h.last[number]
}

// shardEnded leaves the final counters of a loop.
func (h *Hub) shardEnded(number int, last *Stats) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last[number] = last
}

// statsTask asks for the counters of a shard.
type statsTask struct{ answer chan Stats }

// Run implements Task.
func (t *statsTask) Run(s *Shard) { t.answer <- s.Stats() }

// Dropped implements Dropper.
func (t *statsTask) Dropped(s *Shard) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	t.answer <- *s.hub.last[s.loop.Number()]
}

// The keys of the hub's log lines.
const (
	logConn  = "conn"
	logError = "error"
)
