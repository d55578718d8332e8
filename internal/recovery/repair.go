package recovery

import (
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/recovery/ring"
)

const (
	// interruptedPoll is how often a repair looks whether the subscriptions of
	// its partition are back.
	interruptedPoll = 20 * time.Millisecond
	// retryRead is the pause after a failed read of a repair.
	retryRead = 200 * time.Millisecond
	// repairTimeouts is how many times Config.Timeout the repairs of a
	// partition wait while no read succeeds.
	repairTimeouts = 6
)

// SubscriptionLost repairs the rooms of a partition as soon as its
// subscriptions are back; see cluster.InterruptionHandler. Until then the rooms
// keep their messages back.
func (r *Rooms) SubscriptionLost(partition int) {
	r.lost[partition].Add(1)
	r.find(partition)
}

// find starts the search for the rooms of a partition that need a repair,
// unless there is one.
func (r *Rooms) find(partition int) {
	if r.search[partition].CompareAndSwap(false, true) {
		r.readers[partition].start(func() { r.findRooms(partition) })
	}
}

// findRooms waits until the subscriptions of a partition are back, and starts
// the repair of its rooms.
func (r *Rooms) findRooms(partition int) {
	lost, ok := r.awaitSubscriptions(partition)
	if !ok {
		return
	}
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		for _, in := range s.rooms {
			if in.partition == partition && in.lost != lost {
				r.hold(in)
				r.startRepair(s, in, lost)
			}
		}
		s.mu.Unlock()
	}
}

// awaitSubscriptions returns Rooms.lost when the subscriptions of a partition
// were there. It returns false at the end of Rooms, and if another loss has
// started another search.
func (r *Rooms) awaitSubscriptions(partition int) (lost uint64, ok bool) {
	poll := time.NewTicker(interruptedPoll)
	defer poll.Stop()
	for {
		for r.config.Interrupted(partition) {
			select {
			case <-r.ctx.Done():
				return 0, false
			case <-poll.C:
			}
		}
		r.search[partition].Store(false)
		lost = r.lost[partition].Load()
		if !r.config.Interrupted(partition) {
			return lost, true
		}
		if !r.search[partition].CompareAndSwap(false, true) {
			return 0, false
		}
	}
}

// startRepair starts the repair of a room that holds, or makes the one in
// progress begin again. If the room is opening, the repair begins after that.
// It is called with the stripe's lock held.
func (r *Rooms) startRepair(s *stripe, in *room, lost uint64) {
	w := in.needWork()
	w.wanted = lost
	if w.repairing {
		return
	}
	w.repairing, w.since = true, time.Now()
	if !in.opening {
		r.readers[in.partition].addLater(func() { r.repair(s, in) })
	}
}

// repair reads what a room has missed, and delivers it. If the subscription is
// lost again in the meantime, another search starts another repair.
func (r *Rooms) repair(s *stripe, in *room) {
	s.mu.Lock()
	w, epoch := in.work, in.epoch
	lost, after := w.wanted, in.ring.Ask()
	tooLate := r.tooLate(in)
	s.mu.Unlock()
	var page *ring.Page
	if !tooLate {
		query := cluster.HistoryQuery{After: after, Oldest: true}
		page, _ = r.read(in, query, time.Now().Add(r.config.Timeout))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if page == nil && w.failing.IsZero() {
		w.failing = time.Now()
	}
	again := func() { r.readers[in.partition].addLater(func() { r.repair(s, in) }) }
	switch {
	case r.ctx.Err() != nil:
		return
	case w.wanted != lost || page != nil && in.epoch != epoch:
		again()
		return
	case s.rooms[in.channel] != in:
	case r.lost[in.partition].Load() != lost:
		w.repairing = false
		return
	case page == nil && !r.tooLate(in):
		time.AfterFunc(retryRead, again)
		return
	case page == nil:
		r.giveUp(in)
	case r.deliverMissed(in, page):
		again()
		r.account(s, in)
		return
	}
	in.lost, w.repairing, w.failing = lost, false, time.Time{}
	r.continueBehind(s, in)
	r.settle(s, in)
}

// tooLate reports that a repair is hopeless: its reads have failed for too
// long, or those of the partition have.
func (r *Rooms) tooLate(in *room) bool {
	w, now := in.work, time.Now()
	patience := repairTimeouts * r.config.Timeout
	if !w.failing.IsZero() && now.Sub(w.failing) > patience {
		return true
	}
	return now.Sub(w.since) > patience && now.UnixNano()-r.answered[in.partition].Load() > int64(patience)
}

// deliverMissed delivers what a page has. again: the ring needs another one.
func (r *Rooms) deliverMissed(in *room, page *ring.Page) (again bool) {
	deliver, gap, again := in.ring.Repair(page)
	if gap {
		r.notifyGap(in)
	}
	r.deliver(in, deliver)
	r.noticeMissed(in)
	r.stats.repaired.Add(uint64(len(deliver)))
	return again
}

// giveUp delivers what a room has kept back.
func (r *Rooms) giveUp(in *room) {
	in.epoch++
	deliver, gap := in.ring.GiveUp()
	r.notifyGap(in)
	r.deliver(in, deliver)
	if gap {
		r.notifyGap(in)
	}
	r.noticeMissed(in)
}

func (r *Rooms) deliver(in *room, messages []*ring.Message) {
	loops := r.config.Loops(in.channel)
	for _, m := range messages {
		r.config.Deliver(in.channel, loops, m)
	}
}

func (r *Rooms) notifyGap(in *room) {
	r.stats.gaps.Add(1)
	r.config.Gap(in.channel, r.config.Loops(in.channel))
}
