package presence

import (
	"encoding/json"
	"slices"
)

const (
	// maxAnnounced, maxShown and maxBytes bound the members in one announcement
	// and in one message for clients. JSON may multiply the bytes of keys and
	// infos by six; the largest message between nodes has a MB by default.
	maxAnnounced = 256
	maxShown     = 500
	maxBytes     = 64 << 10
)

// batch bounds a list of members.
type batch struct{ limit, members, bytes int }

func (b *batch) isFull() bool { return b.members >= b.limit || b.bytes >= maxBytes }

func (b *batch) add(m *Member) {
	b.members++
	b.bytes += len(m.Key) + len(m.Info)
}

// Members returns the members whose keys come after a key, in the order of the
// keys: at most limit of them, and fewer if they are large.
//
// The Changes go on from the pages. So a member whose leave was not shown is
// among them, without connections: it may be back before that. And if a page
// has a member whose join was not shown, its leave will be shown in any case.
func (r *Roster) Members(after string, limit int) (members []Member, more bool) {
	if limit <= 0 {
		return nil, r.Count() > 0
	}
	r.unread = 0
	if r.sorted == nil {
		r.sorted = r.keys()
	}
	first, found := slices.BinarySearch(r.sorted, after)
	if found {
		first++
	}
	b := batch{limit: limit}
	for _, key := range r.sorted[first:] {
		if b.isFull() {
			return members, true
		}
		m := r.read(key)
		b.add(&m)
		members = append(members, m)
	}
	return members, false
}

// read returns a member for a page.
func (r *Roster) read(key string) Member {
	c, found := r.changes[key]
	if found && c.was {
		return entry{info: c.info}.member(key)
	}
	if found && !c.read {
		c.read = true
		r.changes[key] = c
	}
	return r.Member(key)
}

// keys returns the keys for pages in order.
func (r *Roster) keys() []string {
	all := make([]string, 0, r.Count())
	for key, c := range r.changes {
		if c.was {
			all = append(all, key)
		}
	}
	for key := range r.own {
		all = append(all, key)
	}
	for _, s := range r.shares {
		for key := range s.members {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// place keeps the sorted keys up to date, as long as pages are read.
func (r *Roster) place(key string, is bool) {
	if r.sorted == nil {
		return
	}
	if r.unread++; r.unread > maxUnread {
		r.sorted = nil
		return
	}
	at, found := slices.BinarySearch(r.sorted, key)
	switch {
	case found && !is:
		r.sorted = slices.Delete(r.sorted, at, at+1)
	case !found && is:
		r.sorted = slices.Insert(r.sorted, at, key)
	}
}

func (e entry) member(key string) Member {
	m := Member{Key: key, Conns: e.conns}
	if e.info != "" {
		m.Info = json.RawMessage(e.info)
	}
	return m
}
