package presence

const (
	// askAgain is when a share is asked for again, in milliseconds, and maxAsks
	// how often: a node that is alive answers, and the registry drops the
	// others.
	askAgain = 1000
	maxAsks  = 60
	// maxUnread is how many changes the sorted keys are kept for, when no page
	// is read.
	maxUnread = 64
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
	building      building
	confirmed     bool  // since the last Restart
	asked         int64 // when the share was asked for; 0: it is not missing
	asks          int   // since then
}

// building is the parts of a whole share that have arrived.
type building struct {
	members map[string]entry // nil: none
	number  uint64           // those of the parts
	of      uint64
	parts   int
}

// change is one that clients have not been shown.
type change struct {
	was  bool // the member was there, and is not there now
	at   int64
	read bool   // a page has the member, whose join was not shown
	info string // of a member that was there
}

// Roster is the members of one room, as one node knows them. Its owner
// serializes the calls. Times are in milliseconds.
type Roster struct {
	self            string
	interval, grace int64

	epoch, number uint64
	own           map[string]entry
	unsent        map[string]struct{} // own members that have changed; nil: none
	restart       bool                // the next announcement is the whole share

	shares  map[string]*share // by node
	count   int               // members, each once
	changes map[string]change // not shown yet; nil: none
	leaving int               // the leaves of these
	shown   int64             // when changes were shown last

	sorted []string // the keys for pages in order; nil: not read lately
	unread int      // changes since sorted was read
}

// NewRoster returns the roster of a room on the node self. Changes are shown at
// most once in an interval, and leaves after the grace time. epoch is greater
// than those of the node's earlier rosters of the room.
func NewRoster(self string, epoch uint64, interval, grace int64) *Roster {
	return &Roster{
		self: self, interval: interval, grace: grace, epoch: epoch, restart: true,
		own: make(map[string]entry), shares: make(map[string]*share),
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
	r.announceLater(key)
}

// Leave removes a connection of this node.
func (r *Roster) Leave(key string, now int64) {
	e, found := r.own[key]
	if !found {
		return
	}
	e.conns--
	r.set(r.own, key, e, now)
	r.announceLater(key)
}

func (r *Roster) announceLater(key string) {
	if r.unsent == nil {
		r.unsent = make(map[string]struct{})
	}
	r.unsent[key] = struct{}{}
}

// IsEmpty reports whether this node has no member in the room.
func (r *Roster) IsEmpty() bool { return len(r.own) == 0 }

// Count is the number of members, a user with several connections once. Like
// the pages of Members, it has those whose leaves were not shown.
func (r *Roster) Count() int { return r.count + r.leaving }

// set changes a member of one node, and notes whether it has come or gone as a
// whole.
func (r *Roster) set(of map[string]entry, key string, e entry, now int64) {
	was, info := r.has(key), of[key].info
	if e.conns > 0 {
		of[key] = e
	} else {
		delete(of, key)
	}
	if is := r.has(key); is != was {
		r.note(key, change{was: was, at: now, info: info})
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
// leave was shown has not changed. One that has gone before its join was shown
// has not either, unless a page has it.
func (r *Roster) note(key string, c change) {
	if c.was {
		r.count--
	} else {
		r.count++
	}
	before, found := r.changes[key]
	if found {
		r.forget(key, before)
	}
	c.read = before.read
	if found && !c.read {
		r.place(key, !c.was)
		return
	}
	if r.changes == nil {
		r.changes = make(map[string]change)
	}
	r.changes[key] = c
	if c.was {
		r.leaving++
	}
	r.place(key, true)
}

// forget removes a change that is shown, or undone.
func (r *Roster) forget(key string, c change) {
	delete(r.changes, key)
	if c.was {
		r.leaving--
	}
}

// Own returns the members of this node, in lists that fit into messages.
func (r *Roster) Own() (lists [][]Member) {
	var b batch
	for key, e := range r.own {
		if len(lists) == 0 || b.isFull() {
			b = batch{limit: maxAnnounced}
			lists = append(lists, nil)
		}
		m := e.member(key)
		b.add(&m)
		lists[len(lists)-1] = append(lists[len(lists)-1], m)
	}
	return lists
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

// Missing returns the nodes that have to be asked for their shares again. One
// that has not answered for long is forgotten.
func (r *Roster) Missing(now int64) (nodes []string) {
	for node, s := range r.shares {
		switch {
		case s.asked == 0 || now-s.asked < askAgain:
		case s.asks == maxAsks:
			r.NodeGone(node, now)
		default:
			s.asked = now
			s.asks++
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

// NodeGone drops the share of a node that has left the cluster, and reports
// whether there was one. The owner ignores what still arrives from the node. If
// it comes back, it has to begin a new epoch.
func (r *Roster) NodeGone(node string, now int64) (known bool) {
	s := r.shares[node]
	if s == nil {
		return false
	}
	r.replace(s, nil, now)
	delete(r.shares, node)
	return true
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
		if !s.confirmed {
			r.replace(s, nil, now)
			s.asked, s.asks = now, 0
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
