package recovery

import (
	"time"

	"github.com/stoa-io/stoa/cluster"
)

const (
	// interruptedPoll is how often a repair looks whether the subscriptions of
	// its partition are back.
	interruptedPoll = 20 * time.Millisecond
	// retryRead is the pause after a failed read of a repair.
	retryRead = 200 * time.Millisecond
	// repairTimeouts is how many times Config.Timeout a repair may take.
	repairTimeouts = 6
)

// SubscriptionLost repairs the rooms of a partition as soon as its
// subscriptions are back; see cluster.InterruptionHandler. Until then the rooms
// keep their messages back.
func (r *Rooms) SubscriptionLost(partition int) {
	r.lost[partition].Add(1)
	if r.repairing[partition].CompareAndSwap(false, true) {
		r.readers.start(func() { r.findRooms(partition) })
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
			if in.partition != partition || in.lost == lost {
				continue
			}
			if in.since = time.Now(); in.opening {
				in.waiting = append(in.waiting, func() { r.readers.add(func() { r.repair(in, lost) }) })
				continue
			}
			in.ring.Hold()
			r.readers.add(func() { r.repair(in, lost) })
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
			case <-r.readers.ctx.Done():
				return 0, false
			case <-poll.C:
			}
		}
		r.repairing[partition].Store(false)
		lost = r.lost[partition].Load()
		if !r.config.Interrupted(partition) {
			return lost, true
		}
		if !r.repairing[partition].CompareAndSwap(false, true) {
			return 0, false
		}
	}
}

// repair reads what a room has missed, and delivers it. If the subscription is
// lost again in the meantime, the next repair does.
func (r *Rooms) repair(in *room, lost uint64) {
	s := r.stripe(in.channel)
	s.mu.Lock()
	in.ring.Hold()
	query := cluster.HistoryQuery{
		Retention: in.retention, After: in.ring.Head(), Limit: in.retention.Messages, Oldest: true,
	}
	s.mu.Unlock()
	page, err := r.read(in.channel, query)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rooms[in.channel] != in || r.lost[in.partition].Load() != lost || r.readers.ctx.Err() != nil {
		return
	}
	loops, before := r.config.Loops(in.channel), in.ring.Bytes()
	defer func() { r.account(s, in, before) }()
	if err != nil {
		if time.Since(in.since) < repairTimeouts*r.config.Timeout {
			time.AfterFunc(retryRead, func() { r.readers.add(func() { r.repair(in, lost) }) })
			return
		}
		r.notifyGap(in, loops)
		for _, m := range in.ring.GiveUp() {
			r.config.Deliver(in.channel, loops, m)
		}
		in.lost = lost
		r.continueBehind(in)
		return
	}
	deliver, gap, again := in.ring.Repair(page)
	if gap {
		r.notifyGap(in, loops)
	}
	for _, m := range deliver {
		r.config.Deliver(in.channel, loops, m)
	}
	r.stats.repaired.Add(uint64(len(page.Messages)))
	if again {
		r.readers.add(func() { r.repair(in, lost) })
		return
	}
	in.lost = lost
	r.continueBehind(in)
}

func (r *Rooms) notifyGap(in *room, loops uint64) {
	r.stats.gaps.Add(1)
	r.config.Gap(in.channel, loops)
}
