package presence

import (
	"context"
	"slices"
	"sync"
	"time"
)

// worker runs a step in turns for as long as there is work, on a goroutine that
// exists only then.
type worker struct {
	step   func() (next time.Duration) // until the next turn; 0: there is no work
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu      sync.Mutex
	running bool     // guarded by mu
	woken   bool     // guarded by mu; since the turn began
	closed  bool     // guarded by mu
	tasks   []func() // guarded by mu; for the next turn
}

func (w *worker) init(step func() time.Duration) {
	w.step = step
	w.ctx, w.cancel = context.WithCancel(context.Background())
}

// wake starts the turns, unless they run.
func (w *worker) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wakeLocked()
}

func (w *worker) wakeLocked() {
	w.woken = true
	if !w.running && !w.closed {
		w.running = true
		w.group.Go(w.run)
	}
}

// later runs a task in the next turn.
func (w *worker) later(task func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tasks = append(w.tasks, task)
	w.wakeLocked()
}

func (w *worker) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		w.mu.Lock()
		tasks := w.tasks
		w.tasks, w.woken = nil, false
		w.mu.Unlock()
		for _, task := range tasks {
			task()
		}
		next := w.step()
		w.mu.Lock()
		if w.closed || next == 0 && !w.woken {
			w.running = false
			w.mu.Unlock()
			return
		}
		if w.woken || next == 0 {
			next = pause
		}
		w.mu.Unlock()
		timer.Reset(next)
		select {
		case <-w.ctx.Done():
		case <-timer.C:
		}
	}
}

func (w *worker) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.cancel()
	w.group.Wait()
}

// step does the work that is due, and returns when to do it again.
func (r *Rooms) step() (next time.Duration) {
	sooner := func(d time.Duration) {
		if next == 0 || d < next {
			next = d
		}
	}
	if r.restartLost() {
		sooner(pause)
	}
	if r.findGone() {
		sooner(goneEvery)
	}
	now := r.now()
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		var sends []func()
		for in := range s.work {
			due := in.step(r, now, &sends)
			switch {
			case due != 0:
				sooner(max(pause, time.Duration(due-now)*time.Millisecond))
			case in.roster.IsEmpty():
				delete(s.rooms, in.channel)
				fallthrough
			default:
				delete(s.work, in)
			}
		}
		s.mu.Unlock()
		for _, send := range sends {
			send()
		}
	}
	return next
}

// step does the work that is due for a room, and returns when to look again, 0
// if nothing is left. It is called with the stripe's lock held; sends are
// called without it, as the broker may deliver at once.
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
	in.announce(r, sends)
	for node, epoch := range in.wanting {
		for _, part := range in.roster.Share(epoch) {
			*sends = append(*sends, func() { r.config.Send(node, in.channel, part) })
		}
	}
	for _, node := range append(in.wanted, in.roster.Missing(now)...) {
		ask := in.roster.Ask()
		*sends = append(*sends, func() { r.config.Send(node, in.channel, ask) })
	}
	in.wanting, in.wanted = nil, nil
	if in.opened != 0 && in.isComplete(now) {
		in.roster.DropUnconfirmed(now)
		in.opened = 0
		*sends = append(*sends, in.waiting...)
		in.waiting = nil
	}
	if in.opened != 0 {
		sooner(now + pause.Milliseconds())
	}
	if in.roster.IsMissing() {
		sooner(now + askAgain)
	}
	if !in.roster.IsAnnounced() {
		sooner(now)
	}
	changes, at := in.roster.Changes(now)
	if changes != nil {
		*sends = append(*sends, func() { r.config.Show(in.channel, changes) })
	}
	sooner(at)
	return due
}

// announce sends the announcements of this node.
func (in *room) announce(r *Rooms, sends *[]func()) {
	for _, a := range in.roster.Announce() {
		*sends = append(*sends, func() { r.publish(in, a) })
	}
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
		last := &Announcement{Epoch: r.epoch(), Share: true} // there are no members any more
		r.worker.later(func() { r.publish(in, last) })
	case s.rooms[in.channel] != in || in.roster.epoch != epoch:
	case err != nil:
		in.roster.Restart(r.epoch())
		in.opened, in.nodes = r.now(), 0
		r.mark(s, in)
	default:
		in.nodes = nodes
		r.mark(s, in)
	}
}

// isComplete reports whether the shares of all nodes are there, or have had
// their time.
func (in *room) isComplete(now int64) bool {
	return in.nodes > 0 && in.roster.Confirmed() >= in.nodes-1 || now-in.opened > patience.Milliseconds()
}

// restartLost begins again in the partitions whose subscriptions were lost and
// are back. It reports whether others are not.
func (r *Rooms) restartLost() (waits bool) {
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
		r.restart(func(in *room) bool { return back[r.config.Partition(in.channel)] })
	}
	return waits
}

// findGone asks nodes that are back to begin again: the others have dropped
// their members. It reports whether there are nodes to look for.
func (r *Rooms) findGone() (looks bool) {
	r.mu.Lock()
	var back []string
	if len(r.gone) > 0 {
		known, now := r.config.Nodes(), r.now()
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
