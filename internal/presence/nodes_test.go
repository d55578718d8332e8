package presence

import (
	"testing"
	"testing/synctest"
	"time"
)

// A node that was interrupted begins again. In the meantime it answers with
// the members that it knew, and sends nothing.
func TestInterruption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, nodes := newFabric(t, 3)
		for _, n := range nodes {
			n.join("r", ConnKey(n.id))
		}
		pass(time.Second)
		cut := nodes[0]
		f.set(func() { cut.interrupted = true })
		cut.rooms.SubscriptionLost(0)
		before := len(f.messages())
		cut.join("r", UserKey("ann"))
		pass(10 * time.Second)
		if len(f.messages()) != before {
			t.Errorf("%d announcements during the interruption, want none", len(f.messages())-before)
		}
		f.expect("r", map[string]int{"cn0": 1, "cn1": 1, "cn2": 1, "uann": 1}, cut)
		nodes[1].leave("r", ConnKey("n1"))
		nodes[2].join("r", UserKey("bob"))
		pass(10 * time.Second)
		f.set(func() { cut.interrupted = false })
		pass(5 * time.Second)
		f.expect("r", map[string]int{"cn0": 1, "cn2": 1, "uann": 1, "ubob": 1}, cut, nodes[2])
	})
}

// A subscription that is in doubt, but not lost, keeps nothing back.
func TestDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, nodes := newFabric(t, 2)
		nodes[0].join("r", ConnKey("n0"))
		f.set(func() { nodes[1].doubtful = true })
		nodes[1].join("r", ConnKey("n1"))
		pass(time.Second)
		f.expect("r", map[string]int{"cn0": 1, "cn1": 1}, nodes...)
	})
}

// The members of a node that has left vanish, and what arrives late does not
// bring them back. If the node is back, they are.
func TestNodeGoneAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, nodes := newFabric(t, 3)
		for _, n := range nodes[:2] {
			n.join("r", ConnKey(n.id))
		}
		nodes[0].join("other", ConnKey("n0"))
		pass(time.Second)
		gone := nodes[1]
		f.set(func() { delete(f.nodes, "n1") })
		nodes[0].rooms.NodeGone("n1")
		pass(time.Second)
		late := &Announcement{Epoch: gone.rooms.epoch + 1, Share: true, Number: 1, Members: []Member{{Key: ConnKey("late"), Conns: 1}}}
		nodes[0].rooms.Receive("n1", "r", late)
		nodes[0].rooms.Receive("n1", "other", late)
		pass(5 * time.Second)
		f.expect("r", map[string]int{"cn0": 1}, nodes[0])
		f.expect("other", map[string]int{"cn0": 1}, nodes[0])
		pass(20 * time.Minute)
		f.set(func() { f.nodes["n1"] = gone })
		pass(5 * time.Second)
		f.expect("r", map[string]int{"cn0": 1, "cn1": 1}, nodes[:2]...)
		nodes[0].expectIdle()
	})
}

// A process with the ID of an earlier one, and with a clock that was turned
// back, is known as one that has just started.
func TestNodeReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, nodes := newFabric(t, 2)
		nodes[1].rooms.epoch = uint64(time.Now().Add(time.Hour).UnixNano())
		for _, n := range nodes {
			n.join("r", ConnKey(n.id))
		}
		pass(time.Second)
		next := f.start("n1") // takes the place of the first one
		next.join("r", ConnKey("next"))
		pass(time.Second)
		nodes[0].rooms.NodeGone("n1")
		pass(5 * time.Second)
		f.expect("r", map[string]int{"cn0": 1, "cnext": 1}, nodes[0], next)
	})
}

// A forged epoch, or one of a clock that was turned back since, does not make
// a node deaf for another one.
func TestEpochFromTheFuture(t *testing.T) {
	for _, c := range []struct {
		name   string
		forged Announcement
	}{
		{"change", Announcement{Epoch: maxEpoch - 5, Number: 7, Members: []Member{{Key: ConnKey("forged"), Conns: 1}}}},
		{"share", Announcement{Epoch: maxEpoch - 5, Number: 7, Share: true, Members: []Member{{Key: ConnKey("forged"), Conns: 1}}}},
		{"impossible", Announcement{Epoch: 1<<64 - 1, Number: 7, Share: true, Members: []Member{{Key: ConnKey("forged"), Conns: 1}}}},
		{"known", Announcement{Ask: true, Known: 1<<64 - 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, nodes := newFabric(t, 2)
				for _, n := range nodes {
					n.join("r", ConnKey(n.id))
				}
				pass(time.Second)
				nodes[0].rooms.Receive("n1", "r", &c.forged)
				pass(3 * time.Second)
				nodes[1].join("r", UserKey("ann"))
				pass(5 * time.Second)
				f.expect("r", map[string]int{"cn0": 1, "cn1": 1, "uann": 1}, nodes...)
			})
		})
	}
}
