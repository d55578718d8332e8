package node

import (
	"context"
	"encoding/json"
	"iter"

	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/rpc"
	"github.com/stoa-io/stoa/wire"
)

// listPage is how many slots one turn of a loop visits for a listing.
const listPage = 256

// Conns iterates over the connections of this node that can be used. It blocks
// nothing: connections that open or close during the iteration may be missing
// or closed, all others appear once. The body of the loop may do anything. Each
// connection's handle takes a few hundred bytes for the life of the connection.
func (n *Node) Conns() iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		if n.currentPhase() < phaseServing {
			return
		}
		for _, l := range n.server.Loops() {
			for from := 0; from >= 0; {
				t := &listTask{app: (*app)(n), from: from, count: listPage, page: make(chan []*Conn, 1)}
				if !l.Shard().(*hub.Shard).Submit(t) {
					break
				}
				page, ok := <-t.page
				if !ok {
					break
				}
				from = t.from
				for _, c := range page {
					if !yield(c) {
						return
					}
				}
			}
		}
	}
}

var (
	_ hub.Dropper = (*listTask)(nil)
	_ hub.Dropper = (*findTask)(nil)
)

// listTask asks a loop for its next connections.
type listTask struct {
	app   *app
	from  int // the first slot to visit; the loop sets where to continue, -1 at the end
	count int
	page  chan []*Conn
}

// Run implements hub.Task.
func (t *listTask) Run(s *hub.Shard) {
	var page []*Conn
	t.from = s.Clients(t.from, t.count, func(c *hub.Client) { page = append(page, t.app.ensureHandle(c)) })
	t.page <- page
}

// Dropped implements hub.Dropper.
func (t *listTask) Dropped(*hub.Shard) { close(t.page) }

// findTask asks a loop for one connection.
type findTask struct {
	app   *app
	ref   connid.Ref
	found chan *Conn
}

// Run implements hub.Task.
func (t *findTask) Run(s *hub.Shard) {
	var made *Conn
	if c := s.Find(t.ref); c != nil && c.IsOpen() && c.Session().Acknowledged() {
		made = t.app.ensureHandle(c)
	}
	t.found <- made
}

// Dropped implements hub.Dropper.
func (t *findTask) Dropped(*hub.Shard) { t.found <- nil }

// Conn returns a connection of this node by its ID, nil if there is none (any
// more). For connections of other nodes see Find.
func (n *Node) Conn(id string) *Conn {
	ref, ok := connid.Parse(n.config.ID, id)
	loops := n.server.Loops()
	if !ok || ref.Slot.Loop() >= len(loops) || n.currentPhase() < phaseServing {
		return nil
	}
	t := &findTask{app: (*app)(n), ref: ref, found: make(chan *Conn, 1)}
	if !loops[ref.Slot.Loop()].Shard().(*hub.Shard).Submit(t) {
		return nil
	}
	return <-t.found
}

// ConnInfo describes a connection of any node of the cluster.
type ConnInfo struct {
	ID string `json:"id"`
	// Node is the ID of the node that holds it.
	Node string `json:"node"`
	// RemoteAddr is the client's address, as Conn.RemoteAddr returns it.
	RemoteAddr string `json:"remote_addr"`
	// Namespaces that it is connected to, each with the names of its rooms.
	Namespaces map[string][]string `json:"namespaces"`
}

// Find asks the node of a connection about it. The error is wire.ErrGone if it
// or its node is gone, or that of ctx.
func (n *Node) Find(ctx context.Context, connID string) (ConnInfo, error) {
	if err := n.usable(); err != nil {
		return ConnInfo{}, err
	}
	answer, err := n.hub.Peer().Call(ctx, &rpc.Request{Op: rpc.OpFind, Target: connID})
	if err != nil {
		return ConnInfo{}, err
	}
	var info ConnInfo
	if err := json.Unmarshal(answer.Body, &info); err != nil {
		return ConnInfo{}, wire.ErrUnavailable
	}
	return info, nil
}
