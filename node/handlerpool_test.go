package node

import (
	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/hub"
)

// Access to unexported state for the tests of handlers.

// HandlerCount returns how many calls of a kind of handler had this result.
func HandlerCount(n *Node, kind HandlerKind, result HandlerResult) (count uint64) {
	for _, p := range n.pools() {
		count += p.counts[kind][result].Load()
	}
	return count
}

// Waiting returns how many connections wait for a namespace's limiter.
func Waiting(n *Node, namespace string) int {
	return len(n.table()[namespace].policy.Load().limiter.Waiting())
}

// onShard runs look on a shard's loop and waits for it.
func onShard(s *hub.Shard, look func()) {
	done := make(chan struct{})
	if s.Post(func() { look(); close(done) }) {
		<-done
	}
}

// BacklogFull reports whether a connection is paused because too much is queued
// for it.
func BacklogFull(n *Node, id string) (full bool) {
	ref, _ := connid.Parse(n.config.ID, id)
	s := n.server.Loops()[ref.Slot.Loop()].Shard().(*hub.Shard)
	onShard(s, func() {
		c := s.Find(ref)
		full = c != nil && c.IsPaused(engine.PauseBacklog)
	})
	return full
}
