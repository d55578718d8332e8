package node

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/internal/hub"
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
	for _, ns := range n.table() {
		if l := ns.policy.Load().limiter; l != nil {
			waiting := l.Waiting()
			s.Queued += len(waiting)
			s.addQueues(waiting)
		}
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

// handlerPool runs the handlers of one loop's connections.
type handlerPool struct {
	*taskqueue.Pool
	counts  [handlerKinds][handlerResults]atomic.Uint64
	dropped [2]atomic.Uint64 // by frame type: messages that a handler accepted and the broker did not

	mu        sync.Mutex
	accepting map[*Accept]time.Time // guarded by mu; running calls of the accept handler, since when
}

func newHandlerPool(running *sync.WaitGroup) *handlerPool {
	return &handlerPool{Pool: taskqueue.NewPool(running), accepting: make(map[*Accept]time.Time)}
}

// poolOf returns the pool of a shard.
func poolOf(s *hub.Shard) *handlerPool { return s.State().(*handlerPool) }

// pools returns those of all loops.
func (n *Node) pools() []*handlerPool {
	loops := n.server.Loops()
	pools := make([]*handlerPool, len(loops))
	for i, l := range loops {
		pools[i] = poolOf(l.Shard().(*hub.Shard))
	}
	return pools
}

// accept notes a call of the accept handler. The caller calls done when it has
// returned.
func (p *handlerPool) accept(a *Accept) (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepting[a] = time.Now()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.accepting, a)
	}
}

func (p *handlerPool) count(kind HandlerKind, result HandlerResult) {
	if kind != HandlerNone {
		p.counts[kind][result].Add(1)
	}
}

func (p *handlerPool) countDropped(binary bool) {
	if binary {
		p.dropped[1].Add(1)
		return
	}
	p.dropped[0].Add(1)
}

// runningHandlers returns the handlers that have not returned.
func (p *handlerPool) runningHandlers() []RunningHandler {
	var running []RunningHandler
	p.mu.Lock()
	for _, since := range p.accepting {
		running = append(running, RunningHandler{Kind: HandlerAccept, Since: since})
	}
	p.mu.Unlock()
	for _, s := range p.Active() {
		if h := runningCall(&s); h != nil {
			one := RunningHandler{Kind: h.kind, Event: h.event, Conn: (*Conn)(s.Owner.(*taskOwner)).ID(), Since: s.Since}
			if h.namespace != nil {
				one.Namespace = h.namespace.name
			}
			running = append(running, one)
		}
	}
	return running
}

// runningCall returns the handler call that runs on a queue, or nil.
func runningCall(s *taskqueue.Status) *handlerCall {
	if s.Current == nil {
		return nil
	}
	if h := s.Current.Work.(work).about(); h.kind != HandlerNone {
		return h
	}
	return nil
}
