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
	For uint64 `json:"f,omitempty"`
	// Known is, with Ask and Epoch 0, the receiver's epoch that the sender
	// knows. If it is greater than the receiver's own one, because a clock was
	// turned back, the receiver begins a new one behind it.
	Known   uint64   `json:"k,omitempty"`
	Members []Member `json:"l,omitempty"`
}

const (
	// maxEpoch is the year 2116, as nanoseconds. Greater ones are ignored, so
	// that there is always an epoch behind those that are in use.
	maxEpoch = 1 << 62
	// maxConns bounds the connections of a user on one node, so that their sum
	// does not overflow.
	maxConns = 1 << 30
	// maxShare bounds the members of one node in a room.
	maxShare = 1 << 20
)

// isPossible reports whether a node may have sent this. Nodes trust each other;
// this only bounds the harm of a faulty one.
func (a *Announcement) isPossible() bool {
	return a.Epoch <= maxEpoch && a.Known <= maxEpoch && a.Part >= 0
}

// entry returns the member's entry, and false if its key is none.
func (m *Member) entry() (e entry, ok bool) {
	_, user := User(m.Key)
	_, conn := Conn(m.Key)
	return entry{min(max(m.Conns, 0), maxConns), string(m.Info)}, user || conn
}

// Announce returns the next announcements for the other nodes, in order.
func (r *Roster) Announce() []*Announcement {
	if r.restart {
		r.restart = false
		r.number = 1
		r.unsent = nil
		parts := r.Share(0)
		parts[0].Ask, parts[0].For = true, 0
		return parts
	}
	if len(r.unsent) == 0 {
		return nil
	}
	r.number++
	a := &Announcement{Epoch: r.epoch, Number: r.number}
	b := batch{limit: maxAnnounced}
	for key := range r.unsent {
		if b.isFull() {
			break
		}
		delete(r.unsent, key)
		m := r.own[key].member(key)
		b.add(&m)
		a.Members = append(a.Members, m)
	}
	if len(r.unsent) == 0 {
		r.unsent = nil
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
func (r *Roster) Ask(node string) *Announcement {
	a := &Announcement{Ask: true, For: r.epoch}
	if s := r.shares[node]; s != nil {
		a.Known = s.epoch
	}
	return a
}

// Share returns the members of this node for a node whose roster has the
// epoch of.
func (r *Roster) Share(of uint64) (parts []*Announcement) {
	lists := r.Own()
	if len(lists) == 0 {
		lists = [][]Member{nil}
	}
	for i, list := range lists {
		parts = append(parts, &Announcement{
			Epoch: r.epoch, Number: r.number, Share: true, For: of, Part: i, More: i < len(lists)-1, Members: list,
		})
	}
	return parts
}

// Receive takes an announcement of another node. It reports whether that node
// has to be asked for its share.
func (r *Roster) Receive(node string, a *Announcement, now int64) (ask bool) {
	if node == r.self || a.Epoch == 0 || a.Number == 0 && !a.Share || !a.isPossible() {
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
		return s.miss(now) // late, or the node's clock was turned back
	case a.Epoch > s.epoch:
		s.epoch, s.number, s.seen, s.building = a.Epoch, 0, 0, building{}
		s.confirmed = false
	}
	if a.Share {
		return r.receiveShare(s, a, now)
	}
	s.seen = max(s.seen, a.Number)
	switch {
	case !s.confirmed || a.Number > s.number+1:
		return s.miss(now)
	case a.Number == s.number+1:
		s.number = a.Number
		for i := range a.Members {
			if e, ok := a.Members[i].entry(); ok {
				r.set(s.members, a.Members[i].Key, e, now)
			}
		}
	}
	return false
}

// miss notes that the share is missing, and reports whether to ask for it now.
func (s *share) miss(now int64) (ask bool) {
	if s.asked != 0 && now-s.asked < askAgain {
		return false
	}
	if s.asked == 0 {
		s.asks = 0
	}
	s.asked = now
	return true
}

// receiveShare takes a part of a whole share.
func (r *Roster) receiveShare(s *share, a *Announcement, now int64) (ask bool) {
	b := &s.building
	if a.Part == 0 {
		*b = building{members: make(map[string]entry, len(a.Members)), number: a.Number, of: a.For}
	}
	// A share for all and one for this node may arrive at the same time.
	if b.members == nil || a.Part != b.parts || a.Number != b.number || a.For != b.of {
		return !s.confirmed && s.miss(now)
	}
	for i := range a.Members {
		if e, ok := a.Members[i].entry(); ok && e.conns > 0 {
			b.members[a.Members[i].Key] = e
		}
	}
	b.parts++
	if len(b.members) > maxShare {
		*b = building{}
		return false
	}
	if a.More {
		return false
	}
	whole := b.members
	*b = building{}
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
