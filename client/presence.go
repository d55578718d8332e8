package client

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// PresenceQuery selects members of a room. The zero value selects the first
// ones, as many as the server chooses; a negative Limit only their number. For
// the next page set After to PresencePage.Next.
type PresenceQuery = wire.PresenceQuery

// PresencePage is a part of the members of a room, in an order that does not
// change, and the number of all of them. Where the server shows numbers only,
// it has no members.
type PresencePage = wire.PresencePage

// Member is a user in a room, or a connection without a user.
type Member = wire.PresenceMember

// PresenceEvent reports members that have joined or left a room since the last
// event. A server may gather the changes of a second or so, and does not report
// a member that is back soon.
type PresenceEvent struct {
	Room *Room
	// Joined may have members that are known already, Left others that are not.
	// Both are empty where the server shows numbers only.
	Joined, Left []Member
	// Count is the number of members, a user with several connections once.
	Count int
	// Stale reports that the room was restored after a reconnect, so that
	// changes may be missing. The other fields are empty, and Count is 0
	// although there are members. Read them again.
	Stale bool
}

// Presence reads members of the room. A member that has just left, and is not
// shown to have left yet, has no Conns. The errors are those of Conn.Ask;
// wire.ErrUnhandled if the server shows no members of the room.
func (r *Room) Presence(ctx context.Context, query PresenceQuery) (PresencePage, error) {
	answer, err := r.read(ctx, query, (*session.Session).AskPresence)
	if err != nil {
		return PresencePage{}, err
	}
	var page PresencePage
	if err := json.Unmarshal(answer, &page); err != nil {
		return PresencePage{}, fmt.Errorf("client: presence: %w", err)
	}
	return page, nil
}

// hasPresence reports whether a namespace has a handler for changes of the
// members.
func (o *Options) hasPresence() bool {
	for _, ns := range o.Namespaces {
		if ns.presence != nil {
			return true
		}
	}
	return o.DefaultNamespace != nil && o.DefaultNamespace.presence != nil
}

// PresenceChanged implements session.PresenceDriver. A body that is no change
// is ignored.
func (t *transport) PresenceChanged(_ session.Namespace, room session.Room, body []byte) {
	in := room.(*Room)
	if in.ns.declared.presence == nil {
		return
	}
	var change wire.PresenceChange
	if json.Unmarshal(body, &change) != nil {
		return
	}
	t.conn.handlers.add(len(body), t.conn.presence(&PresenceEvent{
		Room: in, Joined: change.Joined, Left: change.Left, Count: change.Count,
	}))
}

// presence returns the handler call for an event; there is a handler.
func (c *Conn) presence(e *PresenceEvent) *task {
	handler := e.Room.ns.declared.presence
	return &task{handler: "presence", namespace: e.Room.ns.name, message: true, run: func(ctx context.Context) error {
		handler(ctx, e)
		return nil
	}}
}

// Roster keeps the members of one room up to date: call Load when the room is
// joined, and Apply in the handler of Namespace.OnPresence. It ignores the
// events of other rooms, and all before the first Load. The zero value is
// empty. All methods are safe for concurrent use.
type Roster struct {
	reading sync.Mutex // held by Load

	mu      sync.Mutex
	room    *Room                // guarded by mu; that of the members
	members map[memberKey]Member // guarded by mu
	count   int                  // guarded by mu
	loading *Room                // guarded by mu; that of the running Load
	since   []*PresenceEvent     // guarded by mu; of loading, since Load began
}

// memberKey identifies a member.
type memberKey struct{ user, conn string }

func keyOf(m *Member) memberKey { return memberKey{m.User, m.Conn} }

// Load reads all members of a room, page by page, and replaces those of the
// roster with them. From then on Apply takes the events of this room. Where the
// server shows numbers only, Load reads the number. The errors are those of
// Room.Presence; after one the roster is unchanged, but for that of the first
// Load: then the roster is empty, and Apply takes the events of the room.
func (r *Roster) Load(ctx context.Context, room *Room) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	r.mu.Lock()
	r.loading, r.since = room, nil
	if r.room == nil {
		// If the connection is lost now, the reconnect can load it.
		r.room = room
	}
	r.mu.Unlock()
	members, count := make(map[memberKey]Member), 0
	for query, more := (PresenceQuery{Limit: pageOfMembers}), true; more; {
		page, err := room.Presence(ctx, query)
		if err != nil {
			r.end(func() {})
			return err
		}
		for i := range page.Members {
			members[keyOf(&page.Members[i])] = page.Members[i]
		}
		query.After, count, more = page.Next, page.Count, page.Next != ""
	}
	r.end(func() {
		r.room, r.members, r.count = room, members, count
		// To apply an older change to a newer page does no harm: all later ones
		// follow.
		for _, e := range r.since {
			r.change(e)
		}
	})
	return nil
}

// pageOfMembers is how many members Load asks for at a time.
const pageOfMembers = 500

// end ends a Load.
func (r *Roster) end(apply func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	apply()
	r.loading, r.since = nil, nil
}

// Apply takes the changes of an event of the loaded room. After a reconnect it
// calls Load. It ignores the events of other rooms.
func (r *Roster) Apply(ctx context.Context, e *PresenceEvent) error {
	if r.take(e) {
		return r.Load(ctx, e.Room)
	}
	return nil
}

// take applies an event. It reports whether the members must be read again.
func (r *Roster) take(e *PresenceEvent) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Stale {
		return e.Room == r.room
	}
	if e.Room == r.loading {
		r.since = append(r.since, e)
	}
	if e.Room == r.room {
		r.change(e)
	}
	return false
}

// change applies an event. The caller holds mu.
func (r *Roster) change(e *PresenceEvent) {
	if r.members == nil {
		r.members = make(map[memberKey]Member)
	}
	for i := range e.Joined {
		r.members[keyOf(&e.Joined[i])] = e.Joined[i]
	}
	for i := range e.Left {
		delete(r.members, keyOf(&e.Left[i]))
	}
	r.count = e.Count
}

// Members returns the members, users first, in the order of their IDs. The
// caller owns the slice, but not the Infos.
func (r *Roster) Members() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.members), func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Conn, b.Conn), cmp.Compare(a.User, b.User))
	})
}

// Count returns the number of members, a user with several connections once.
func (r *Roster) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}
