package client

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Room is a Conn in a room. It is used like an NSConn; after its end its
// methods return wire.ErrBadRoom.
type Room struct {
	ns   *NSConn
	name string
	body []byte // immutable; of the request to join

	reply  []byte // guarded by conn.mu; the server's, to the request to join
	over   bool   // guarded by conn.mu
	number uint64 // guarded by conn.mu; of the join, ascending in a namespace

	tracker session.Tracker // guarded by conn.mu
	entered bool            // guarded by conn.mu; the first join is answered
	handled string          // guarded by conn.mu; the position that the handlers have reached
}

// roomSet holds the joined rooms of a namespace. The zero value is empty.
type roomSet struct {
	byName map[string]*Room
	last   uint64 // number of the newest room
}

// add adds a room that is not in the set.
func (s *roomSet) add(r *Room) {
	if s.byName == nil {
		s.byName = make(map[string]*Room)
	}
	s.last++
	r.number = s.last
	s.byName[r.name] = r
}

// remove removes a room, unless another one has taken its name.
func (s *roomSet) remove(r *Room) {
	if s.byName[r.name] == r {
		delete(s.byName, r.name)
	}
}

// list returns the rooms in the order of joining. The caller owns the slice.
func (s *roomSet) list() []*Room {
	return slices.SortedFunc(maps.Values(s.byName), func(a, b *Room) int { return cmp.Compare(a.number, b.number) })
}

// Name returns the room's name.
func (r *Room) Name() string { return r.name }

// NSConn returns the Conn in the room's namespace.
func (r *Room) NSConn() *NSConn { return r.ns }

// Reply returns the body with which the server has answered the request to
// join. It is empty if the server joined the room. It changes when the room is
// restored after a reconnect.
func (r *Room) Reply() []byte {
	r.ns.conn.mu.Lock()
	defer r.ns.conn.mu.Unlock()
	return slices.Clone(r.reply)
}

// Recovered reports whether the last join, by JoinRoomWith or after a
// reconnect, had a position and all messages after it were available: they go
// to the handlers like others, before new ones. Otherwise messages may be
// missing.
func (r *Room) Recovered() bool {
	r.ns.conn.mu.Lock()
	defer r.ns.conn.mu.Unlock()
	return r.tracker.Recovered()
}

// Position returns the position of the last message of the room for which a
// handler was called, or that of the room when it was joined. Inside a handler
// it is at least that of its message. A program that keeps it can pass it to
// JoinRoomWith later, also in another process. It is empty if the server keeps
// no history of the room.
func (r *Room) Position() string {
	r.ns.conn.mu.Lock()
	defer r.ns.conn.mu.Unlock()
	return r.handled
}

func (r *Room) setHandled(position string) {
	r.ns.conn.mu.Lock()
	defer r.ns.conn.mu.Unlock()
	r.handled = position
}

// HistoryQuery selects messages of a room's history. The zero value selects the
// newest ones, as many as the server chooses. Before and After are positions.
type HistoryQuery = wire.HistoryQuery

// HistoryPage is a part of a room's history.
type HistoryPage struct {
	// Entries are the messages in the order of the room, the oldest first.
	Entries []HistoryEntry
	// More: only the limit has kept further messages out of the page. With
	// HistoryQuery.Oldest they follow the last entry, else they come before the
	// first.
	More bool
	// Found is false if the history does not reach back to a position of the
	// query, so that messages may be missing between it and the page.
	Found bool
}

// HistoryEntry is a message in a room's history.
type HistoryEntry struct {
	Event  string
	Body   []byte
	Binary bool
	// User is the ID of the sender's user, empty if it had none.
	User string
	// Time is when the server has kept the message.
	Time     time.Time
	Position string
}

// History reads a part of the room's history. The errors are those of Conn.Ask;
// wire.ErrUnhandled if the server keeps no history of the room.
func (r *Room) History(ctx context.Context, query HistoryQuery) (HistoryPage, error) {
	answer, err := r.read(ctx, query, (*session.Session).AskHistory)
	if err != nil {
		return HistoryPage{}, err
	}
	return parseHistory(answer)
}

// read asks the server with a query in JSON, and returns the body of the
// answer.
func (r *Room) read(ctx context.Context, query any,
	ask func(*session.Session, session.Namespace, session.Room, []byte) (uint64, error),
) ([]byte, error) {
	body, err := json.Marshal(query)
	if err != nil {
		return nil, err
	}
	result, err := r.ns.conn.call(ctx, scope{r.ns, r}, func(s *session.Session) (uint64, error) {
		return ask(s, nsRef{r.ns}, r, body)
	})
	if err != nil {
		return nil, err
	}
	return result.answer.Body, nil
}

// parseHistory reads the answer to a read of a history.
func parseHistory(body []byte) (HistoryPage, error) {
	var answer wire.HistoryPage
	if err := json.Unmarshal(body, &answer); err != nil {
		return HistoryPage{}, fmt.Errorf("client: history: %w", err)
	}
	page := HistoryPage{More: answer.More, Found: answer.Found}
	for _, e := range answer.Entries {
		entry := HistoryEntry{
			Event: e.Event, Body: []byte(e.Body), User: e.User, Time: time.UnixMilli(e.Time), Position: e.Position,
		}
		if e.Binary != nil {
			entry.Body, entry.Binary = e.Binary, true
		}
		page.Entries = append(page.Entries, entry)
	}
	return page, nil
}

// Emit emits an event into the room, in a text frame. It reaches the other
// members if the server relays. See NSConn.Emit.
func (r *Room) Emit(event string, body []byte) error {
	return r.ns.emit(&Message{Event: event, Body: body}, r)
}

// EmitBinary is Emit with a binary frame and any body.
func (r *Room) EmitBinary(event string, body []byte) error {
	return r.ns.emit(&Message{Event: event, Body: body, Binary: true}, r)
}

// EmitVolatile is Emit for an event that is worth nothing when it is late. See
// NSConn.EmitVolatile.
func (r *Room) EmitVolatile(event string, body []byte) error {
	return r.ns.emit(&Message{Event: event, Body: body, Volatile: true}, r)
}

// Leave leaves the room and waits until the server has answered. The errors are
// those of Conn.Ask; the server may also refuse. While the Conn is not
// connected, the room ends at once, and its buffered emits are dropped.
func (r *Room) Leave(ctx context.Context) error {
	if r.ns.conn.forget(r.ns, r) {
		return nil
	}
	_, err := r.ns.conn.call(ctx, scope{r.ns, r}, func(s *session.Session) (uint64, error) {
		return s.AskLeave(nsRef{r.ns}, r)
	})
	return err
}
