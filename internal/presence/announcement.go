package presence

// Announcement is a message between the rosters of a room.
type Announcement struct {
	// Epoch is greater in each life of the sender's roster, and Number counts
	// its announcements from 1.
	Epoch  uint64 `json:"e"`
	Number uint64 `json:"n"`
	// Share: the members are all of the sender's, as of Number, in parts. Else
	// they are those that have changed.
	Share bool `json:"s,omitempty"`
	Part  int  `json:"p,omitempty"`
	More  bool `json:"m,omitempty"` // further parts follow
	// Ask: the sender wants the share of the receiver. With Epoch 0 there is
	// nothing else in it.
	Ask bool `json:"a,omitempty"`
	// For is the epoch of the roster that asks, or that has asked for this
	// share; 0: the share is for all.
	For     uint64   `json:"f,omitempty"`
	Members []Member `json:"l,omitempty"`
}

// Announce returns the next announcements for the other nodes, in order.
func (r *Roster) Announce() []*Announcement {
	if r.restart {
		r.restart = false
		r.number = 1
		clear(r.unsent)
		parts := r.Share(0)
		parts[0].Ask, parts[0].For = true, 0
		return parts
	}
	if len(r.unsent) == 0 {
		return nil
	}
	r.number++
	a := &Announcement{Epoch: r.epoch, Number: r.number}
	for key := range r.unsent {
		if len(a.Members) == maxAnnounced {
			break
		}
		delete(r.unsent, key)
		a.Members = append(a.Members, r.own[key].member(key))
	}
	return []*Announcement{a}
}

// Close returns the last announcement of a roster without own members. It is a
// whole share, so that no node needs an earlier one, nor asks again.
func (r *Roster) Close() *Announcement {
	r.number++
	return &Announcement{Epoch: r.epoch, Number: r.number, Share: true}
}

// IsAnnounced reports whether Announce has nothing to return.
func (r *Roster) IsAnnounced() bool { return !r.restart && len(r.unsent) == 0 }

// Ask returns the announcement that asks a node for its share.
func (r *Roster) Ask() *Announcement { return &Announcement{Ask: true, For: r.epoch} }

// Share returns the members of this node for a node whose roster has the
// epoch of.
func (r *Roster) Share(of uint64) (parts []*Announcement) {
	a := &Announcement{Epoch: r.epoch, Number: r.number, Share: true, For: of}
	for key, e := range r.own {
		if len(a.Members) == maxAnnounced {
			a.More = true
			parts = append(parts, a)
			a = &Announcement{Epoch: r.epoch, Number: r.number, Share: true, For: of, Part: len(parts)}
		}
		a.Members = append(a.Members, e.member(key))
	}
	return append(parts, a)
}

// Receive takes an announcement of another node. It reports whether that node
// has to be asked for its share.
func (r *Roster) Receive(node string, a *Announcement, now int64) (ask bool) {
	if node == r.self || a.Epoch == 0 || a.Number == 0 && !a.Share {
		return false
	}
	if a.Share && a.For != 0 && a.For != r.epoch {
		return false // on its way for too long: the node may have left the room since
	}
	s := r.shares[node]
	if s == nil {
		s = &share{members: make(map[string]entry)}
		r.shares[node] = s
	}
	switch {
	case a.Epoch < s.epoch:
		return false
	case a.Epoch > s.epoch:
		s.epoch, s.number, s.seen, s.building = a.Epoch, 0, 0, nil
		s.confirmed, s.gone = false, false
	}
	if a.Share {
		return r.receiveShare(s, a, now)
	}
	s.seen = max(s.seen, a.Number)
	switch {
	case s.gone:
		return false
	case !s.confirmed || a.Number > s.number+1:
		return s.miss(now)
	case a.Number == s.number+1:
		s.number = a.Number
		for i := range a.Members {
			m := &a.Members[i]
			r.set(s.members, m.Key, entry{m.Conns, string(m.Info)}, now)
		}
	}
	return false
}

// miss notes that the share is missing, and reports whether to ask for it now.
func (s *share) miss(now int64) (ask bool) {
	if s.asked != 0 && now-s.asked < askAgain {
		return false
	}
	s.asked = now
	return true
}

// receiveShare takes a part of a whole share.
func (r *Roster) receiveShare(s *share, a *Announcement, now int64) (ask bool) {
	if a.Part == 0 {
		s.building = make(map[string]entry, len(a.Members))
	}
	if s.building == nil {
		return false // the beginning is missing: it is asked for again
	}
	for i := range a.Members {
		s.building[a.Members[i].Key] = entry{a.Members[i].Conns, string(a.Members[i].Info)}
	}
	if a.More {
		return false
	}
	whole := s.building
	s.building = nil
	if s.confirmed && a.Number < s.number {
		return false // older than what this node knows
	}
	r.replace(s, whole, now)
	s.number, s.confirmed, s.asked = a.Number, true, 0
	if s.seen > s.number {
		return s.miss(now) // a later announcement has overtaken the share
	}
	return false
}
