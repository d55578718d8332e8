package node

import (
	"time"

	"github.com/stoa-io/stoa/internal/taskqueue"
)

// HandlerKind is the kind of a handler.
type HandlerKind uint8

// The kinds of handlers. HandlerNone stands for work of the node itself that is
// queued between handlers.
const (
	HandlerNone HandlerKind = iota
	HandlerAccept
	HandlerOpened
	HandlerClosed
	HandlerConnect
	HandlerConnected
	HandlerDisconnected
	HandlerJoin
	HandlerJoined
	HandlerLeave
	HandlerLeft
	HandlerEmit
	HandlerAsk
	HandlerRelay
	HandlerNative
	HandlerAuthenticate
	handlerKinds
)

// String returns the kind as one lower-case word, the name of the method that
// registers such a handler.
func (k HandlerKind) String() string {
	return [...]string{"none", "accept", "opened", "closed", "connect", "connected", "disconnected", "join", "joined",
		"leave", "left", "emit", "ask", "relay", "native", "authenticate", "unknown"}[min(k, handlerKinds)]
}

// HandlerKinds returns all kinds but HandlerNone. The slice is the caller's
// own.
func HandlerKinds() []HandlerKind {
	var all []HandlerKind
	for kind := HandlerNone + 1; kind < handlerKinds; kind++ {
		all = append(all, kind)
	}
	return all
}

// HandlerResult is how a call of a handler ended.
type HandlerResult uint8

// The results of a handler. An error need not be a fault: it may be the answer
// that the handler meant to give.
const (
	HandlerOK HandlerResult = iota
	HandlerFailed
	HandlerPanicked
	handlerResults
)

// String returns the result as one lower-case word.
func (r HandlerResult) String() string {
	return [...]string{"ok", "error", "panic", "unknown"}[min(r, handlerResults)]
}

// HandlerResults returns all results. The slice is the caller's own.
func HandlerResults() []HandlerResult {
	return []HandlerResult{HandlerOK, HandlerFailed, HandlerPanicked}
}

// RunningHandler is a handler that has not returned.
type RunningHandler struct {
	Kind HandlerKind
	// Namespace and Event are empty where Kind has none.
	Namespace, Event string
	// Conn is the ID of the connection, empty for one that is not accepted yet.
	Conn string
	// Since is when it was called.
	Since time.Time
}

// HandlerStats describes the application's handlers. It keeps changing after
// the loops have ended: some handlers are called because of the end.
type HandlerStats struct {
	// State.
	Running int // calls that have not returned
	Queued  int // connections that wait until their namespace may run one more handler
	Bytes   int // of the messages that are handled or queued, overhead included

	// Calls that have returned, by kind and result. Those of HandlerNone are
	// not counted.
	Calls map[HandlerKind]map[HandlerResult]uint64
}

// handlerStats gathers a snapshot without stopping anything: handlers that
// start or end during the call may be missing or included.
func (n *Node) handlerStats() HandlerStats {
	s := HandlerStats{Calls: make(map[HandlerKind]map[HandlerResult]uint64)}
	for _, kind := range HandlerKinds() {
		s.Calls[kind] = make(map[HandlerResult]uint64)
	}
	for _, p := range n.pools() {
		p.addTo(&s)
	}
	n.mu.Lock()
	limiters := make([]*taskqueue.Limiter, 0, len(n.namespaces))
	for _, ns := range n.namespaces {
		if ns.limit != nil {
			limiters = append(limiters, ns.limit)
		}
	}
	n.mu.Unlock()
	for _, l := range limiters {
		waiting := l.Waiting()
		s.Queued += len(waiting)
		s.addQueues(waiting)
	}
	return s
}

// addTo adds the pool's counters and active queues.
func (p *handlerPool) addTo(s *HandlerStats) {
	for kind, counts := range s.Calls {
		for result := range handlerResults {
			counts[result] += p.counts[kind][result].Load()
		}
	}
	p.mu.Lock()
	s.Running += len(p.accepting)
	p.mu.Unlock()
	s.addQueues(p.Active())
}

func (s *HandlerStats) addQueues(queues []taskqueue.Status) {
	for i := range queues {
		s.Bytes += queues[i].Bytes
		if runningCall(&queues[i]) != nil {
			s.Running++
		}
	}
}
