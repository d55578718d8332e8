package node

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/wire"
)

// question is something that this node has asked, of one connection or of a room,
// and that is not settled.
type question struct {
	// Immutable. settle is called once, on any goroutine, and must not block.
	every  bool   // all answers are wanted, not the first
	owner  string // the node of the one connection that is asked; empty: a room is
	settle func(Answers, error)

	// Guarded by questions.mu. How many nodes a room's channel has reached is known,
	// but not which; their names are needed only when a node has gone.
	expected  int      // nodes that will say done
	counted   bool     // expected is known
	named     bool     // missing is known, and counts instead
	missing   []string // nodes that have not said done
	answers   []Answer
	done      []string // nodes that have
	unhandled bool     // somebody there has no handler for the event
}

// questions are the open ones of a node. Only asks come here, never what is
// merely emitted, so one lock does.
type questions struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]*question
}

// add opens a question.
func (t *questions) add(q *question) (id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = make(map[uint64]*question)
		// A node that was started again under the same ID must not take late
		// answers for its own.
		t.last = rand.Uint64() >> 16
	}
	t.last++
	t.open[t.last] = q
	return t.last
}

// take closes a question; nil if it was settled already.
func (t *questions) take(id uint64) *question {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.open[id]
	delete(t.open, id)
	return q
}

// ids are those of the open questions.
func (t *questions) ids() []uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.open))
}

// count is the number of open questions.
func (t *questions) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// update changes an open question, and settles it if that completes it. It
// reports false for one that is not open: the answer is late.
func (t *questions) update(id uint64, change func(*question) (settled bool, err error)) bool {
	t.mu.Lock()
	q := t.open[id]
	if q == nil {
		t.mu.Unlock()
		return false
	}
	settled, err := change(q)
	if !settled {
		t.mu.Unlock()
		return true
	}
	delete(t.open, id)
	all := q.sofar()
	t.mu.Unlock()
	q.settle(all, err)
	return true
}

// sofar is what was answered until now.
func (q *question) sofar() Answers { return Answers{Answers: q.answers, done: q.done} }

// complete reports whether everybody who was asked has said everything, and what
// that means for somebody who wants one answer.
func (q *question) complete() (settled bool, err error) {
	switch {
	case q.named && len(q.missing) > 0, !q.named && (!q.counted || len(q.done) < q.expected):
		return false, nil
	case q.every:
		return true, nil
	case q.unhandled:
		return true, wire.ErrUnhandled
	}
	return true, wire.ErrNobody
}

// drop takes a node for one that says nothing more: it was not reached, has gone, or
// is through.
func (q *question) drop(node string) (settled bool, err error) {
	q.missing = slices.DeleteFunc(q.missing, func(missing string) bool { return missing == node })
	return q.complete()
}

// answered takes one connection's answer.
func (n *Node) answered(cmd *command) {
	answer := Answer{Conn: cmd.target, Body: cmd.payload, Binary: cmd.binary}
	if cmd.err != "" {
		answer.Body, answer.Err = nil, wire.ErrorFor(cmd.err)
	}
	if !n.questions.update(cmd.id, func(q *question) (bool, error) {
		q.answers = append(q.answers, answer)
		return !q.every, nil
	}) {
		n.lateAnswers.Add(1)
	}
}

// dropped notes that a node says nothing more about a question.
func (n *Node) dropped(id uint64, node string) {
	n.questions.update(id, func(q *question) (bool, error) { return q.drop(node) })
}

// saidAll notes that a node will not answer any more. It says so with an error if
// somebody there could not handle the event.
func (n *Node) saidAll(cmd *command) {
	n.questions.update(cmd.id, func(q *question) (bool, error) {
		if !slices.Contains(q.done, cmd.from) {
			q.done = append(q.done, cmd.from)
		}
		q.unhandled = q.unhandled || cmd.err != ""
		return q.drop(cmd.from)
	})
}

// reached notes how many nodes got the question.
func (n *Node) reached(id uint64, nodes int) {
	n.questions.update(id, func(q *question) (bool, error) {
		q.expected, q.counted = nodes, true
		return q.complete()
	})
}

// askOne sends a command about one connection and waits for the answer, which
// settles the question: nobody says done for a single connection.
func (n *Node) askOne(ctx context.Context, cmd *command) (Answer, error) {
	owner, ok := nodeOf(cmd.target)
	if !ok {
		return Answer{}, wire.ErrGone
	}
	all, err := n.await(ctx, false, func(q *question) uint64 {
		q.owner = owner
		cmd.id, cmd.from, cmd.timeout = n.questions.add(q), n.config.ID, n.askTimeout(ctx)
		n.command(owner, cmd, func(err error) {
			n.answered(&command{id: cmd.id, target: cmd.target, err: errorText(err)})
		})
		return cmd.id
	})
	if err != nil || len(all.Answers) == 0 {
		return Answer{}, err
	}
	return all.Answers[0], all.Answers[0].Err
}

// await asks a question and waits until it is settled. When ctx ends first,
// somebody who wants every answer gets those that have come.
func (n *Node) await(ctx context.Context, every bool, start func(*question) (id uint64)) (Answers, error) {
	type result struct {
		all Answers
		err error
	}
	settled := make(chan result, 1)
	id := start(&question{every: every, settle: func(all Answers, err error) { settled <- result{all, err} }})
	err := ErrClosed
	select {
	case r := <-settled:
		return r.all, r.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-n.stopped:
	}
	open := n.questions.take(id)
	if open == nil {
		r := <-settled
		return r.all, r.err
	}
	if every && err != ErrClosed {
		err = nil
	}
	return open.sofar(), err
}

// askTimeout is how long whoever is asked may take, in milliseconds.
func (n *Node) askTimeout(ctx context.Context) uint32 {
	const longest = 24 * time.Hour
	timeout := n.config.Timeouts.Ask
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	return uint32(min(max(timeout, time.Millisecond), longest).Milliseconds())
}

// knownNodes are the nodes of the cluster as far as the broker knows them, with
// this one.
func (n *Node) knownNodes() []string {
	nodes := []string{n.config.ID}
	if members, ok := n.broker.(cluster.Membership); ok {
		for _, other := range members.Nodes() {
			if other.ID != n.config.ID {
				nodes = append(nodes, other.ID)
			}
		}
	}
	return nodes
}

// errorText is an error as another node or a client is told it.
func errorText(err error) string {
	if wire.ErrorFor(err.Error()) == err {
		return err.Error()
	}
	return wire.ErrUnavailable.Error()
}
