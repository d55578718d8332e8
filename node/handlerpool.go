package node

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/taskqueue"
)

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
