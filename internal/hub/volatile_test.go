package hub

import "testing"

// Volatile deliveries fill half of an inbox, so that they do not congest the
// node, and none enters one that other deliveries have congested.
func TestVolatileInInbox(t *testing.T) {
	s := startShard(t, false, func(cfg *Config) { cfg.Limits.LoopQueue = 100_000 })
	post := func(volatile bool, count int) {
		for range count {
			s.postDelivery(&delivery{channel: "r:a:b", frame: make([]byte, 1000), volatile: volatile})
		}
	}
	dropped := func() int { return int(s.hub.volatileDropped.Load()) }
	congested := func() bool { return s.hub.server.Congestion().Set() != 0 }
	s.onLoop(func() {
		post(true, 100)
		if bytes := s.inbox.bytes; bytes < 45_000 || bytes > 55_000 || dropped() != 100-bytes/(1000+entryOverhead) {
			t.Errorf("%d bytes are queued and %d messages dropped, want half of the limit, and the rest", bytes, dropped())
		}
		if congested() {
			t.Error("volatile deliveries have congested the node")
		}
		before := len(s.inbox.entries)
		post(false, 60)
		if got := len(s.inbox.entries) - before; got != 60 || !congested() {
			t.Errorf("%d of 60 other deliveries are queued, congested %t, want all and true", got, congested())
		}
		before, was := len(s.inbox.entries), dropped()
		post(true, 1)
		if len(s.inbox.entries) != before || dropped() != was+1 {
			t.Error("a volatile delivery has entered a congested inbox")
		}
	})
	s.eventually(t, "the inbox is empty", func() bool { return s.inbox.bytes == 0 && !congested() })
	s.onLoop(func() {
		was := dropped()
		if post(true, 1); dropped() != was {
			t.Error("a volatile delivery was dropped after the congestion")
		}
	})
}

// A run of deliveries is of one kind.
func TestVolatileRuns(t *testing.T) {
	s := startShard(t, false, nil)
	s.onLoop(func() {
		batch, next := s.batch, s.batchNext
		defer func() { s.batch, s.batchNext = batch, next }()
		s.batch = nil
		for _, volatile := range []bool{true, true, false, true} {
			s.batch = append(s.batch, entry{delivery: delivery{channel: "r:a:b", volatile: volatile}})
		}
		for first, want := range map[int]int{0: 2, 1: 1, 2: 1, 3: 1} {
			if s.batchNext = first; s.deliveryRun() != want {
				t.Errorf("the run from %d has %d deliveries, want %d", first, s.deliveryRun(), want)
			}
		}
	})
}
