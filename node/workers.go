package node

import (
	"sync"
	"sync/atomic"
	"time"
)

// HandlerKind says what a handler of the program is for.
type HandlerKind uint8

// The kinds of handlers. HandlerNone stands for work of the node itself that
// had to wait its turn between handlers.
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
	handlerKinds
)

// String returns the kind as one lower-case word, the name of the method that
// registers such a handler.
func (k HandlerKind) String() string {
	return [...]string{"none", "accept", "opened", "closed", "connect", "connected", "disconnected", "join", "joined",
		"leave", "left", "emit", "ask", "relay", "native", "unknown"}[min(k, handlerKinds)]
}

// HandlerResult is how a call of a handler ended.
type HandlerResult uint8

// The results of a handler. An error is a result like another: it may be what a
// client was to be told.
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

// workers are those of one loop that have a goroutine.
type workers struct {
	running *sync.WaitGroup // of the node
	counts  [handlerKinds][handlerResults]atomic.Uint64
	dropped [2]atomic.Uint64 // by frame type: what a handler let pass, and the broker did not take

	mu        sync.Mutex
	active    map[*worker]struct{}  // guarded by mu
	accepting map[*Accept]time.Time // guarded by mu; calls of the accept handler, since when
}

// accept notes that the accept handler is called; the caller calls done when it
// has returned.
func (ws *workers) accept(a *Accept) (done func()) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.accepting == nil {
		ws.accepting = make(map[*Accept]time.Time)
	}
	ws.accepting[a] = time.Now()
	return func() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		delete(ws.accepting, a)
	}
}

// enter notes that a worker is about to have a goroutine.
func (ws *workers) enter(w *worker) {
	ws.running.Add(1)
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.active[w] = struct{}{}
}

// leave notes that it is about to have none. The goroutine itself ends a moment
// later, and then says so to running.
func (ws *workers) leave(w *worker) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.active, w)
}

func (ws *workers) count(kind HandlerKind, result HandlerResult) {
	if kind != HandlerNone {
		ws.counts[kind][result].Add(1)
	}
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

// list returns what runs.
func (ws *workers) list() []RunningHandler {
	ws.mu.Lock()
	active := make([]*worker, 0, len(ws.active))
	for w := range ws.active {
		active = append(active, w)
	}
	running := make([]RunningHandler, 0, len(active))
	for _, since := range ws.accepting {
		running = append(running, RunningHandler{Kind: HandlerAccept, Since: since})
	}
	ws.mu.Unlock()
	for _, w := range active {
		if one, ok := w.runningHandler(); ok {
			running = append(running, one)
		}
	}
	return running
}

func (w *worker) runningHandler() (RunningHandler, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.current
	if t == nil || t.kind == HandlerNone {
		return RunningHandler{}, false
	}
	one := RunningHandler{Kind: t.kind, Event: t.event, Conn: w.conn.ID(), Since: w.since}
	if t.namespace != nil {
		one.Namespace = t.namespace.name
	}
	return one, true
}
