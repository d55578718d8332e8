package rpc

import (
	"slices"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/wire"
)

// For a room call it is known how many nodes received it, but not which. When a
// node leaves the cluster while calls are pending, it may have been one of
// them. So the other nodes are probed: those that do not serve the call send
// OpDone, the others will send it anyway. That costs something when a node
// dies, and nothing before.

// NodeGone ends the calls that only a node which left the cluster could answer.
// The broker may call it.
func (p *Peer) NodeGone(node string) {
	p.config.Local.Defer(func() { p.endCallsOf(node) })
}

func (p *Peer) endCallsOf(gone string) {
	// A successor of the node under its ID was not asked.
	alive := slices.DeleteFunc(p.knownNodes(), func(node string) bool { return node == gone })
	for _, id := range p.pending.ids() {
		var probed []string
		p.update(id, func(c *call) (bool, error) {
			switch {
			case c.owner == gone:
				return true, wire.ErrGone
			case c.owner != "":
				return false, nil
			case !c.perNode && !c.haveCount:
				// It has not been sent yet, or a moment ago: to nodes that are
				// alive.
				return false, nil
			case !c.perNode:
				c.perNode = true
				for _, node := range alive {
					if !slices.Contains(c.done, node) {
						c.waitingFor = append(c.waitingFor, node)
					}
				}
				probed = slices.Clone(c.waitingFor)
			}
			return c.forget(gone)
		})
		p.probePeers(id, probed)
	}
}

// probePeers asks nodes whether they serve a call. On one Redis server the
// probe arrives after the call, so it takes the way through the broker to this
// node, too. On several servers it could overtake a call that was sent in the
// same moment; such a node is forgotten, as if it had been slow.
func (p *Peer) probePeers(id uint64, nodes []string) {
	r := &Request{Op: OpProbe, ID: id, From: p.config.ID}
	for _, node := range nodes {
		p.publish(cluster.NodeChannel(node), r, func(reached int, err error) {
			if err == nil && reached == 0 {
				p.onNodeLost(id, node)
			}
		})
	}
}

// answerProbe sends OpDone unless this node will do so anyway. A probe without
// an ID only asks whether it arrives.
func (p *Peer) answerProbe(r *Request) {
	if r.ID != 0 && p.rooms.get(r) == nil {
		p.post(r.From, &Request{Op: OpDone, ID: r.ID, From: p.config.ID})
	}
}
