package presence

import (
	"slices"
	"time"
)

// step does the work that is due, and returns when to do it again.
func (r *Rooms) step() (next time.Duration) {
	sooner := func(d time.Duration) {
		if d != 0 && (next == 0 || d < next) {
			next = d
		}
	}
	now := r.now()
	r.dropDeparted(now)
	for _, waits := range []bool{r.findGone(now), r.restartAll(now), r.repeatLast(now)} {
		if waits {
			sooner(again)
		}
	}
	if r.restartLost(now) {
		sooner(pause)
	}
	for i := range r.stripes {
		due, sends := r.stripes[i].step(r, now)
		if due != 0 {
			sooner(max(pause, time.Duration(due-now)*time.Millisecond))
		}
		for _, send := range sends {
			send()
		}
	}
	return next
}

// step does the work that is due for the rooms of a stripe, and returns when to
// look again, 0 if nothing is left. sends are to be called without the lock, as
// the broker may deliver at once.
func (s *stripe) step(r *Rooms, now int64) (due int64, sends []func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	steps := 0
	for in, at := range s.work {
		if at <= now && steps < maxSteps {
			steps++
			at = in.step(r, now, &sends)
			if s.work[in] = at; at == 0 {
				delete(s.work, in)
				if in.roster.IsEmpty() {
					delete(s.rooms, in.channel)
				}
				continue
			}
		}
		if at = max(at, 1); due == 0 || at < due {
			due = at
		}
	}
	if len(s.work) == 0 {
		s.work = nil
	}
	return due, sends
}

// step does the work that is due for a room, and returns when to look again, 0
// if nothing is left. It is called with the stripe's lock held; sends are
// called without it.
func (in *room) step(r *Rooms, now int64, sends *[]func()) (due int64) {
	sooner := func(at int64) {
		if at != 0 && (due == 0 || at < due) {
			due = at
		}
	}
	if in.roster.IsEmpty() {
		last := in.roster.Close()
		*sends = append(*sends, func() { r.publish(in, last) })
		*sends = append(*sends, in.waiting...) // there is no roster any more
		return 0
	}
	if r.isLost(r.config.Partition(in.channel)) {
		in.quiet = max(in.quiet, now+again.Milliseconds()) // it begins again afterwards
	}
	if now < in.quiet {
		sooner(in.quiet)
	} else {
		sooner(in.announce(r, now, sends))
	}
	sooner(in.await(r, now))
	if in.opened != 0 {
		sooner(in.opened + patience.Milliseconds())
	} else {
		*sends = append(*sends, in.waiting...)
		in.waiting = nil
	}
	changes, at := in.roster.Changes(now)
	if changes != nil {
		*sends = append(*sends, func() { r.config.Show(in.channel, changes) })
	}
	sooner(at)
	return due
}

// announce sends what other nodes have to know, and asks for what this one has
// to know. It returns when to call it again, 0 if nothing is left.
func (in *room) announce(r *Rooms, now int64, sends *[]func()) (due int64) {
	for _, a := range in.roster.Announce() {
		*sends = append(*sends, func() { r.publish(in, a) })
	}
	if !in.roster.IsAnnounced() {
		due = now
	}
	for node, at := range in.shared {
		if now >= at+again.Milliseconds() {
			delete(in.shared, node)
		}
	}
	for node, epoch := range in.wanting {
		if _, lately := in.shared[node]; lately {
			due = now
			continue
		}
		delete(in.wanting, node)
		if in.shared == nil {
			in.shared = make(map[string]int64)
		}
		in.shared[node] = now
		for _, part := range in.roster.Share(epoch) {
			*sends = append(*sends, func() { r.config.Send(node, in.channel, part) })
		}
	}
	for _, node := range append(in.wanted, in.roster.Missing(now)...) {
		ask := in.roster.Ask(node)
		*sends = append(*sends, func() { r.config.Send(node, in.channel, ask) })
	}
	in.wanted = nil
	if len(in.wanting) == 0 {
		in.wanting = nil
	}
	if len(in.shared) == 0 {
		in.shared = nil
	}
	if due == 0 && in.roster.IsMissing() {
		due = now + askAgain
	}
	return due
}

// await ends the wait for shares when they are there, or have had their time:
// then the ask, or an answer, may be lost. It returns when to call it again, 0
// if nothing is missing.
func (in *room) await(r *Rooms, now int64) (due int64) {
	if in.opened != 0 && now-in.opened >= patience.Milliseconds() {
		in.opened = 0
	}
	if in.asked == 0 {
		return 0
	}
	complete, end := in.roster.Confirmed() >= in.nodes-1, in.asked+patience.Milliseconds()
	if !complete && now < end {
		return end
	}
	in.roster.DropUnconfirmed(now)
	in.opened, in.asked = 0, 0
	if in.tries++; complete || in.tries > maxTries {
		in.tries = 0
		return 0
	}
	in.begin(r.nextEpoch(0))
	return now
}

// publish sends an announcement. How many nodes an ask reaches tells how many
// shares there will be; one that is lost is followed by a whole share.
func (r *Rooms) publish(in *room, a *Announcement) {
	r.config.Publish(in.channel, a, func(nodes int, err error) {
		if a.Ask || err != nil {
			r.worker.later(func() { r.published(in, a.Epoch, nodes, err) })
		}
	})
}

func (r *Rooms) published(in *room, epoch uint64, nodes int, err error) {
	s := r.stripe(in.channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.rooms[in.channel] == nil && err != nil:
		r.mu.Lock()
		r.unsaid[in.channel] = struct{}{}
		r.mu.Unlock()
	case s.rooms[in.channel] != in || in.roster.epoch != epoch:
	case err != nil:
		in.begin(r.nextEpoch(0))
		in.quiet = r.now() + again.Milliseconds()
		r.mark(s, in)
	default:
		in.asked, in.nodes = r.now(), nodes
		r.mark(s, in)
	}
}

// repeatLast announces again that this node has no members in rooms, where that
// has failed. It reports whether there are such rooms.
func (r *Rooms) repeatLast(now int64) (waits bool) {
	r.mu.Lock()
	if waits = len(r.unsaid) > 0; !waits || now < r.repeated+again.Milliseconds() {
		r.mu.Unlock()
		return waits
	}
	unsaid := r.unsaid
	r.unsaid, r.repeated = make(map[string]struct{}), now
	r.mu.Unlock()
	for channel := range unsaid {
		s := r.stripe(channel)
		s.mu.Lock()
		open, epoch := s.rooms[channel] != nil, r.nextEpoch(0)
		s.mu.Unlock()
		if !open { // else its roster has begun with a whole share
			r.publish(&room{channel: channel}, &Announcement{Epoch: epoch, Share: true})
		}
	}
	return true
}

// restart makes rosters begin again: announcements may have been lost.
func (r *Rooms) restart(now int64, which func(*room) bool) {
	epoch := r.nextEpoch(0)
	for i := range r.stripes {
		s := &r.stripes[i]
		s.visit(func(in *room) {
			if which(in) {
				in.begin(epoch)
				in.opened, in.quiet, in.tries = now, 0, 0
				s.mark(in)
			}
		})
	}
}

// visit calls f with all rooms, with the lock held. Others get the lock in
// between: rooms that are opened in the meantime may be left out.
func (s *stripe) visit(f func(*room)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	visited := 0
	for _, in := range s.rooms {
		f(in)
		if visited++; visited%maxSteps == 0 {
			s.mu.Unlock()
			s.mu.Lock()
		}
	}
}

// restartAll makes all rosters begin again if another node has asked for it. It
// reports whether it has to wait with that.
func (r *Rooms) restartAll(now int64) (waits bool) {
	r.mu.Lock()
	due := r.restarts && (r.restarted == 0 || now >= r.restarted+again.Milliseconds())
	if due {
		r.restarts, r.restarted = false, now
	}
	waits = r.restarts
	r.mu.Unlock()
	if due {
		r.restart(now, func(*room) bool { return true })
	}
	return waits
}

// isLost reports whether the subscriptions of a partition are lost.
// Interrupted says less: that they may be.
func (r *Rooms) isLost(partition int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, lost := r.lost[partition]
	return lost
}

// restartLost begins again in the partitions whose subscriptions were lost and
// are back. It reports whether others are not.
func (r *Rooms) restartLost(now int64) (waits bool) {
	r.mu.Lock()
	back := make(map[int]bool)
	for partition := range r.lost {
		if !r.config.Interrupted(partition) {
			back[partition] = true
			delete(r.lost, partition)
		}
	}
	waits = len(r.lost) > 0
	r.mu.Unlock()
	if len(back) > 0 {
		r.restart(now, func(in *room) bool { return back[r.config.Partition(in.channel)] })
	}
	return waits
}

// dropDeparted drops the members of the nodes that have left.
func (r *Rooms) dropDeparted(now int64) {
	r.mu.Lock()
	departed := r.departed
	r.departed = nil
	r.mu.Unlock()
	for _, node := range departed {
		for i := range r.stripes {
			s := &r.stripes[i]
			s.visit(func(in *room) {
				if in.roster.NodeGone(node, now) {
					s.mark(in)
				}
			})
		}
	}
}

// findGone asks nodes that are back to begin again: the others have dropped
// their members. It reports whether there are nodes to look for.
func (r *Rooms) findGone(now int64) (looks bool) {
	r.mu.Lock()
	var back []string
	if len(r.gone) > 0 && len(r.departed) == 0 {
		known := r.config.Nodes()
		for node, until := range r.gone {
			if slices.Contains(known, node) {
				back = append(back, node)
				delete(r.gone, node)
			} else if now > until {
				delete(r.gone, node)
			}
		}
	}
	looks = len(r.gone) > 0
	r.mu.Unlock()
	for _, node := range back {
		r.config.Send(node, "", &Announcement{Ask: true})
	}
	return looks
}
