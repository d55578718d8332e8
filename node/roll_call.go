package node

import (
	"slices"
	"sync"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/wire"
)

// A question to a room counts the nodes that it has reached; it does not know them.
// When a node has gone while questions are open, it may have been one of those that
// have not said everything, or not. So the others are asked: who does not work on the
// question says done, and who does will say it. That costs something when a node
// dies, and nothing before.

// NodeGone implements cluster.MembershipHandler.
func (n *Node) NodeGone(id string) {
	n.loops[0].post(item{kind: itemNodeGone, errand: &errand{gone: id}})
}

// nodeGone ends what only that node could have answered. It runs on a loop.
func (n *Node) nodeGone(gone string) {
	// Its successor, if it has one, was not asked.
	alive := slices.DeleteFunc(n.knownNodes(), func(node string) bool { return node == gone })
	for _, id := range n.questions.ids() {
		var called []string
		n.questions.update(id, func(q *question) (bool, error) {
			switch {
			case q.owner == gone:
				return true, wire.ErrGone
			case q.owner != "":
				return false, nil
			case !q.named && !q.counted:
				// It has not been sent yet, or a moment ago: to those who are there.
				return false, nil
			case !q.named:
				q.named = true
				for _, node := range alive {
					if !slices.Contains(q.done, node) {
						q.missing = append(q.missing, node)
					}
				}
				called = slices.Clone(q.missing)
			}
			return q.drop(gone)
		})
		n.rollCall(id, called)
	}
}

// rollCall asks nodes whether they work on a question. On one Redis server the roll
// call comes behind the question, so it takes the way through the broker to this node
// too. On several it could overtake one that was asked in the same moment; a node that
// is called too early is missed, as if it had been slow.
func (n *Node) rollCall(id uint64, nodes []string) {
	cmd := &command{kind: commandRollCall, id: id, from: n.config.ID}
	for _, node := range nodes {
		n.publishCounted(cluster.NodeChannel(node), cmd, func(reached int, err error) {
			if err == nil && reached == 0 {
				n.dropped(id, node)
			}
		})
	}
}

// answerRollCall says done unless this node will do so anyway.
func (n *Node) answerRollCall(cmd *command) {
	if !n.roomAsks.open(cmd) {
		n.post(cmd.from, &command{kind: commandDone, id: cmd.id, from: n.config.ID})
	}
}

// roomAsks are the questions to rooms that this node works on. Safe for concurrent
// use.
type roomAsks struct {
	mu   sync.Mutex
	asks map[roomAskKey]struct{} // guarded by mu
}

// roomAskKey is a question of a node.
type roomAskKey struct {
	from string
	id   uint64
}

func (r *roomAsks) begin(cmd *command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asks == nil {
		r.asks = make(map[roomAskKey]struct{})
	}
	r.asks[roomAskKey{cmd.from, cmd.id}] = struct{}{}
}

func (r *roomAsks) end(cmd *command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.asks, roomAskKey{cmd.from, cmd.id})
}

func (r *roomAsks) open(cmd *command) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, found := r.asks[roomAskKey{cmd.from, cmd.id}]
	return found
}
