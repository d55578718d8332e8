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

// workers are those of one loop, and the runners: goroutines that take one worker
// after the other and run its tasks. A runner starts the next one before it runs a
// worker, if others are in line and none is on its way. So quick handlers share a
// few goroutines, and one that blocks holds up nobody.
type workers struct {
	running *sync.WaitGroup // runners, and other goroutines that run handlers; the node's
	counts  [handlerKinds][handlerResults]atomic.Uint64
	dropped [2]atomic.Uint64 // by frame type: what a handler let pass, and the broker did not take

	mu        sync.Mutex
	active    map[*worker]struct{}  // guarded by mu; in line or run
	line      []*worker             // guarded by mu; those before first are taken
	first     int                   // guarded by mu
	coming    bool                  // guarded by mu; a runner has been started and has not begun
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

// enter puts a worker in line.
func (ws *workers) enter(w *worker) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.active[w] = struct{}{}
	ws.line = append(ws.line, w)
	ws.startRunner()
}

// leave notes that a worker is about to have nothing to do.
func (ws *workers) leave(w *worker) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.active, w)
}

// startRunner is called with mu held.
func (ws *workers) startRunner() {
	if ws.coming {
		return
	}
	ws.coming = true
	ws.running.Add(1)
	go ws.runAll()
}

// runAll is a runner.
func (ws *workers) runAll() {
	defer ws.running.Done()
	ws.mu.Lock()
	ws.coming = false
	for w := ws.take(); w != nil; w = ws.take() {
		ws.mu.Unlock()
		ws.runOne(w)
		ws.mu.Lock()
	}
	ws.mu.Unlock()
}

// take takes the first worker out of the line. It is called with mu held.
func (ws *workers) take() *worker {
	if ws.first == len(ws.line) {
		return nil
	}
	w := ws.line[ws.first]
	ws.line[ws.first] = nil
	ws.first++
	if ws.first < len(ws.line) {
		ws.startRunner()
	} else {
		ws.line, ws.first = ws.line[:0], 0
		if cap(ws.line) > maxIdleItems {
			ws.line = nil
		}
	}
	return w
}

// runOne runs a worker. A handler that calls runtime.Goexit takes the runner with it;
// then another one goes on with the worker.
func (ws *workers) runOne(w *worker) {
	returned := false
	defer func() {
		if !returned {
			ws.enter(w)
		}
	}()
	w.run()
	returned = true
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
