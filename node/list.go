package node

import (
	"context"
	"encoding/json"
	"iter"

	"github.com/stoa-io/stoa/wire"
)

// listing asks a loop for its next connections.
type listing struct {
	slot int     // the first to look at; the loop sets where to go on, -1 at the end
	only *secret // nil: all
	page chan []*Conn
}

// listPage is how many connections one turn looks at for a listing.
const listPage = 256

// Conns iterates over the connections of this node that can be used. It does not
// hold anybody up: connections that come or go meanwhile may be missing or ended,
// all others are there once. The loop's body may do anything. Each connection's
// handle takes a few hundred bytes for as long as it lives.
func (n *Node) Conns() iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		for _, l := range n.loops {
			for asked := (&listing{}); asked.slot >= 0; {
				asked.page = make(chan []*Conn, 1)
				if n.currentPhase() < phaseServing || !l.post(item{kind: itemList, errand: &errand{listing: asked}}) {
					break
				}
				page, ok := <-asked.page
				if !ok {
					break
				}
				for _, c := range page {
					if !yield(c) {
						return
					}
				}
			}
		}
	}
}

// list answers with the next page.
func (l *loop) list(asked *listing) {
	size := listPage
	if asked.only != nil {
		size = 1
	}
	end := min(asked.slot+size, len(l.conns))
	var page []*Conn
	for _, c := range l.conns[min(asked.slot, end):end] {
		if c != nil && c.state == connOpen && c.session.Acknowledged() && (asked.only == nil || *asked.only == c.secret) {
			page = append(page, c.handled())
		}
	}
	asked.slot = end
	if end == len(l.conns) {
		asked.slot = -1
	}
	asked.page <- page
}

// Conn returns a connection of this node by its ID, nil if there is none (any
// more). For connections of other nodes see Find.
func (n *Node) Conn(id string) *Conn {
	p, s, ok := parseConnID(n.config.ID, id)
	if !ok || p.loop() >= len(n.loops) || n.currentPhase() < phaseServing {
		return nil
	}
	asked := &listing{page: make(chan []*Conn, 1), slot: int(p.slot()), only: &s}
	if !n.loops[p.loop()].post(item{kind: itemList, errand: &errand{listing: asked}}) {
		return nil
	}
	for _, c := range <-asked.page {
		return c
	}
	return nil
}

// ConnInfo is what there is to know about a connection anywhere in the cluster.
type ConnInfo struct {
	ID string `json:"id"`
	// Node is the ID of the node that holds it.
	Node string `json:"node"`
	// RemoteAddr is the peer's address.
	RemoteAddr string `json:"remote_addr"`
	// Namespaces that it is connected to, with the names of the rooms that it is in.
	Namespaces map[string][]string `json:"namespaces"`
}

// Find asks the node of a connection about it. The error is wire.ErrGone if
// it or its node is away, or that of ctx.
func (n *Node) Find(ctx context.Context, connID string) (ConnInfo, error) {
	if err := n.usable(); err != nil {
		return ConnInfo{}, err
	}
	answer, err := n.askOne(ctx, &command{kind: commandFind, target: connID})
	if err != nil {
		return ConnInfo{}, err
	}
	var info ConnInfo
	if err := json.Unmarshal(answer.Body, &info); err != nil {
		return ConnInfo{}, wire.ErrUnavailable
	}
	return info, nil
}

// info is the answer to Find.
func (c *conn) info() []byte {
	info := ConnInfo{ID: c.ID(), Node: c.loop.node.config.ID, RemoteAddr: c.remoteAddr(), Namespaces: make(map[string][]string)}
	for ns := range c.session.Namespaces() {
		rooms := []string{}
		for in := range c.session.Rooms(ns) {
			rooms = append(rooms, in.Name())
		}
		info.Namespaces[ns.Name()] = rooms
	}
	encoded, _ := json.Marshal(info) // of strings only, so there is no error
	return encoded
}
