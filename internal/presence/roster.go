package presence

import (
	"encoding/json"
	"slices"
)

const (
	// maxAnnounced bounds the members in one announcement, so that it fits into
	// a message between nodes.
	maxAnnounced = 256
	// maxShown bounds the members in one change for clients.
	maxShown = 500
	// maxShares bounds the nodes that a roster remembers, gone ones included.
	maxShares = 64
	// askAgain is when a share is asked for again, in milliseconds.
	askAgain = 1000
)

// entry is a member on one node.
type entry struct {
	conns int
	info  string
}

// share is the members of another node.
type share struct {
	epoch, number uint64
	seen          uint64 // the greatest number of the epoch, whether applied or not
	members       map[string]entry
	building      map[string]entry // parts of a whole share
	confirmed     bool             // since the last Restart
	asked         int64            // when the share was asked for; 0: it is not missing
	gone          bool             // the node has left the cluster
}

// change is one that clients have not been shown.
type change struct {
	was bool // the member was there
	at  int64
}

// Roster is the members of one room, as one node knows them. Its owner
// serializes the calls. Times are in milliseconds.
type Roster struct {
	self            string
	interval, grace int64

	epoch, number uint64
	own           map[string]entry
	unsent        map[string]struct{} // own members that have changed
	restart       bool                // the next announcement is the whole share

	shares  map[string]*share // by node
	count   int               // members, each once
	changes map[string]change // not shown yet
	shown   int64             // when changes were shown last
}

// NewRoster returns the roster of a room on the node self. Changes are shown at
// most once in an interval, and leaves after the grace time. epoch is greater
// than those of the node's earlier rosters of the room.
func NewRoster(self string, epoch uint64, interval, grace int64) *Roster {
	return &Roster{
		self: self, interval: interval, grace: grace, epoch: epoch, restart: true,
		own: make(map[string]entry), unsent: make(map[string]struct{}),
		shares: make(map[string]*share), changes: make(map[string]change),
	}
}

// Join adds a connection of this node.
func (r *Roster) Join(key, info string, now int64) {
	e := r.own[key]
	e.conns++
	if info != "" {
		e.info = info
	}
	r.set(r.own, key, e, now)
	r.unsent[key] = struct{}{}
}

// Leave removes a connection of this node.
func (r *Roster) Leave(key string, now int64) {
	e, found := r.own[key]
	if !found {
		return
	}
	e.conns--
	r.set(r.own, key, e, now)
	r.unsent[key] = struct{}{}
}

// IsEmpty reports whether this node has no member in the room.
func (r *Roster) IsEmpty() bool { return len(r.own) == 0 }

// Count is the number of members, a user with several connections once.
func (r *Roster) Count() int { return r.count }

// set changes a member of one node, and notes whether it has come or gone as a
// whole.
func (r *Roster) set(of map[string]entry, key string, e entry, now int64) {
	was := r.has(key)
	if e.conns > 0 {
		of[key] = e
	} else {
		delete(of, key)
	}
	if is := r.has(key); is != was {
		r.note(key, was, now)
	}
}

func (r *Roster) has(key string) bool {
	if _, found := r.own[key]; found {
		return true
	}
	for _, s := range r.shares {
		if _, found := s.members[key]; found {
			return true
		}
	}
	return false
}

// note counts a member that has come or gone. One that is back before its
// leave was shown has not changed.
func (r *Roster) note(key string, was bool, now int64) {
	if was {
		r.count--
	} else {
		r.count++
	}
	if before, found := r.changes[key]; !found {
		r.changes[key] = change{was, now}
	} else if before.was != was {
		delete(r.changes, key)
	}
}

// Own returns the members of this node.
func (r *Roster) Own() (members []Member) {
	for key, e := range r.own {
		members = append(members, e.member(key))
	}
	return members
}

// replace puts other members in the place of those of a node.
func (r *Roster) replace(s *share, members map[string]entry, now int64) {
	for key := range s.members {
		if members[key].conns <= 0 {
			r.set(s.members, key, entry{}, now)
		}
	}
	for key, e := range members {
		r.set(s.members, key, e, now)
	}
}

// Missing returns the nodes that have to be asked for their shares again.
func (r *Roster) Missing(now int64) (nodes []string) {
	for node, s := range r.shares {
		if s.asked != 0 && now-s.asked >= askAgain {
			s.asked = now
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// IsMissing reports whether a share is asked for and has not come.
func (r *Roster) IsMissing() bool {
	for _, s := range r.shares {
		if s.asked != 0 {
			return true
		}
	}
	return false
}

// Confirmed is the number of other nodes whose shares are known.
func (r *Roster) Confirmed() (nodes int) {
	for _, s := range r.shares {
		if s.confirmed {
			nodes++
		}
	}
	return nodes
}

// NodeGone drops the share of a node that has left the cluster. If the node is
// back, it has to begin a new epoch, as its earlier announcements may still
// arrive.
func (r *Roster) NodeGone(node string, now int64) {
	s := r.shares[node]
	if s == nil {
		return
	}
	r.replace(s, nil, now)
	if len(r.shares) > maxShares {
		delete(r.shares, node)
		return
	}
	*s = share{epoch: s.epoch + 1, members: s.members, gone: true}
}

// Restart begins a new epoch, because announcements may have been lost: this
// node announces all its members and asks for the shares of the others.
func (r *Roster) Restart(epoch uint64) {
	r.epoch, r.number, r.restart = max(epoch, r.epoch+1), 0, true
	for _, s := range r.shares {
		s.confirmed = false
	}
}

// DropUnconfirmed drops the shares of nodes that have not answered since
// Restart: most likely they have no member in the room any more. They are asked
// for it.
func (r *Roster) DropUnconfirmed(now int64) {
	for _, s := range r.shares {
		if !s.confirmed && !s.gone {
			r.replace(s, nil, now)
			s.asked = now
		}
	}
}

// Member returns a member with the connections of all nodes.
func (r *Roster) Member(key string) Member {
	e := r.own[key]
	for _, s := range r.shares {
		other := s.members[key]
		e.conns += other.conns
		if e.info == "" {
			e.info = other.info
		}
	}
	return e.member(key)
}

// Members returns the members whose keys come after a key, in the order of the
// keys, and at most limit of them.
func (r *Roster) Members(after string, limit int) (members []Member, more bool) {
	keys := make(map[string]struct{})
	note := func(of map[string]entry) {
		for key := range of {
			if key > after {
				keys[key] = struct{}{}
			}
		}
	}
	note(r.own)
	for _, s := range r.shares {
		note(s.members)
	}
	sorted := make([]string, 0, len(keys))
	for key := range keys {
		sorted = append(sorted, key)
	}
	slices.Sort(sorted)
	if len(sorted) > limit {
		sorted, more = sorted[:limit], true
	}
	for _, key := range sorted {
		members = append(members, r.Member(key))
	}
	return members, more
}

func (e entry) member(key string) Member {
	m := Member{Key: key, Conns: e.conns}
	if e.info != "" {
		m.Info = json.RawMessage(e.info)
	}
	return m
}
