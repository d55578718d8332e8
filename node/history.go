package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/wire"
)

// HistoryOptions says how much of the history of each room in a namespace is
// kept: the messages that were relayed or emitted into the room. Clients that
// come back receive the messages that they have missed, and members can read
// the history. A message leaves the history when one of the limits is exceeded.
// The zero value keeps nothing and costs nothing.
type HistoryOptions struct {
	// Messages is the number of messages per room, at most MaxHistoryMessages.
	// Zero: no history.
	Messages int
	// Age is how long a message is kept, at most MaxHistoryAge. Zero means an
	// hour.
	Age time.Duration
	// Bytes is the size of the messages of a room, names included, at most
	// MaxHistoryBytes and at least Limits.Message. Zero means 1 MiB, or
	// Limits.Message if that is larger.
	Bytes int
	// OnJoin is how many of the newest messages every client receives when it
	// joins, at most Messages: those of the protocol of neffos, too. A client
	// that comes back with a position receives the messages after that instead.
	// With Messages and OnJoin at 1, a room is a value that each new member
	// knows first. It does not apply to joins that the application asks for.
	OnJoin int
	// DuplicateWindow is for how long the IDs of confirmed emits are
	// remembered: a copy of a message that arrives in this time is not
	// published again. It is at least a second and at most MaxDuplicateWindow.
	// Zero means two minutes: the clients repeat an emit for 90 seconds, and
	// a copy may be half a minute on its way.
	// Each ID takes the broker about a hundred bytes for this time.
	DuplicateWindow time.Duration
	// LatestBy makes the rooms hold values by key: it is the name of a field at
	// the top of the JSON body, such as "symbol". A client that joins first
	// receives the newest message for each value of the field, in the room's
	// order; so does one with a position to which the history does not reach
	// back. The field counts if it is a number, or a string of 1 to 128 bytes.
	// These messages are kept in addition to the newest ones, with limits of
	// their own that are Age and Bytes, too. Empty: none.
	LatestBy string
	// LatestKeys is the number of keys per room, at most MaxHistoryLatestKeys.
	// The one that was not updated for longest leaves. Zero means 1000.
	LatestKeys int
}

// The largest values of HistoryOptions.
const (
	MaxHistoryMessages = 10_000
	MaxHistoryAge      = 30 * 24 * time.Hour
	MaxHistoryBytes    = 64 << 20
	MaxDuplicateWindow = 24 * time.Hour
	// MaxHistoryLatestBy is the length of the name of a field, in bytes.
	MaxHistoryLatestBy   = 128
	MaxHistoryLatestKeys = 10_000
)

const (
	defaultHistoryAge   = time.Hour
	defaultHistoryBytes = 1 << 20
	defaultWindow       = 2 * time.Minute
	defaultLatestKeys   = 1000
)

// validate returns an error for options that cannot be used.
func (o *HistoryOptions) validate(limits *Limits) error {
	switch {
	case o.Messages < 0 || o.Messages > MaxHistoryMessages:
		return fmt.Errorf("History.Messages %d: want 0 to %d", o.Messages, MaxHistoryMessages)
	case o.Age < 0 || o.Age > MaxHistoryAge || o.Age > 0 && o.Age < time.Millisecond:
		return fmt.Errorf("History.Age %v: want 1ms to %v, or 0", o.Age, MaxHistoryAge)
	case o.Bytes < 0 || o.Bytes > MaxHistoryBytes || o.Bytes > 0 && o.Bytes < limits.Message:
		return fmt.Errorf("History.Bytes %d: want Limits.Message, which is %d, to %d, or 0", o.Bytes, limits.Message, MaxHistoryBytes)
	case o.OnJoin < 0 || o.OnJoin > o.Messages:
		return fmt.Errorf("History.OnJoin %d: want 0 to History.Messages, which is %d", o.OnJoin, o.Messages)
	case o.DuplicateWindow != 0 && (o.DuplicateWindow < time.Second || o.DuplicateWindow > MaxDuplicateWindow):
		return fmt.Errorf("History.DuplicateWindow %v: want 1s to %v, or 0", o.DuplicateWindow, MaxDuplicateWindow)
	case len(o.LatestBy) > MaxHistoryLatestBy || !utf8.ValidString(o.LatestBy):
		return fmt.Errorf("History.LatestBy: want a text of up to %d bytes", MaxHistoryLatestBy)
	case o.LatestKeys < 0 || o.LatestKeys > MaxHistoryLatestKeys:
		return fmt.Errorf("History.LatestKeys %d: want 0 to %d", o.LatestKeys, MaxHistoryLatestKeys)
	case o.LatestKeys > 0 && o.LatestBy == "":
		return errors.New("History.LatestKeys has no effect without LatestBy")
	case o.Messages == 0 && *o != HistoryOptions{}:
		return errors.New("History has no Messages, so its other options have no effect")
	}
	return nil
}

// hub returns the options with their defaults, nil for no history.
func (o *HistoryOptions) hub(limits *Limits) *hub.History {
	if o.Messages == 0 {
		return nil
	}
	r := &hub.History{
		Retention: cluster.Retention{Messages: o.Messages, Age: o.Age, Bytes: o.Bytes}, OnJoin: o.OnJoin,
		Window: cmp.Or(o.DuplicateWindow, defaultWindow), LatestBy: o.LatestBy,
	}
	if o.LatestBy != "" {
		r.Keys = cmp.Or(o.LatestKeys, defaultLatestKeys)
	}
	if r.Age == 0 {
		r.Age = defaultHistoryAge
	}
	if r.Bytes == 0 {
		r.Bytes = max(defaultHistoryBytes, limits.Message)
	}
	return r
}

// History implements hub.App.
func (a *app) History(namespace string) *hub.History { return (*Node)(a).history(namespace) }

// history is that of the rooms of a namespace, nil if they have none.
func (n *Node) history(namespace string) *hub.History {
	if ns := n.table()[namespace]; ns != nil {
		return ns.history
	}
	return nil
}

// Position is the place of a message in the history of its room, an opaque text
// that can be stored and compared for equality. Empty is no position.
type Position string

// HistoryQuery selects messages of a room's history.
type HistoryQuery struct {
	// Limit is the largest number of messages. Zero means 100.
	Limit int
	// Before and After exclude the messages from, and up to, a position. Empty
	// does not exclude any.
	Before, After Position
	// Oldest selects the oldest of the messages; otherwise a page has the
	// newest ones.
	Oldest bool
}

// HistoryPage is a part of a room's history.
type HistoryPage struct {
	// Entries are in the order of the room.
	Entries []HistoryEntry
	// More reports that Limit has excluded messages.
	More bool
	// Found reports that no message is missing between the positions of the
	// query and the page, but for Limit. It is true without positions, and
	// false if the history does not reach back to one of them.
	Found bool
}

// HistoryEntry is a message in a room's history.
type HistoryEntry struct {
	Message
	Position Position
	// Time is when the broker has kept the message.
	Time time.Time
	// Conn is the ID of the connection that sent it, and User that of its user;
	// both are empty for a message of the application, User also for a
	// connection without a user.
	Conn, User string
}

// ErrNoHistory is returned for a room without a history: its namespace keeps
// none, or the broker cannot.
var ErrNoHistory = errors.New("node: the room has no history")

// ErrPosition is returned for a text that is no position.
var ErrPosition = errors.New("node: invalid position")

const (
	defaultHistoryPage   = 100
	defaultHistoryMemory = 64 << 20
)

// History reads a part of the history of a room from the broker. The error is
// ErrNoHistory, ErrPosition, that of the broker, or that of ctx. The page is
// the caller's.
func (n *Node) History(ctx context.Context, namespace, room string, q HistoryQuery) (HistoryPage, error) {
	historian, retention, err := n.historian(namespace)
	if err != nil {
		return HistoryPage{}, err
	}
	query := cluster.HistoryQuery{Retention: *retention, Limit: q.Limit, Oldest: q.Oldest}
	if query.Limit <= 0 {
		query.Limit = defaultHistoryPage
	}
	var beforeOK, afterOK bool
	query.Before, beforeOK = cluster.ParsePosition([]byte(q.Before))
	query.After, afterOK = cluster.ParsePosition([]byte(q.After))
	if !beforeOK || !afterOK {
		return HistoryPage{}, ErrPosition
	}
	read, err := historian.History(ctx, cluster.RoomChannel(namespace, room), query)
	if err != nil {
		return HistoryPage{}, err
	}
	page := HistoryPage{More: read.More, Found: read.Found, Entries: make([]HistoryEntry, 0, len(read.Entries))}
	for i := range read.Entries {
		page.Entries = append(page.Entries, historyEntry(&read.Entries[i]))
	}
	return page, nil
}

func (n *Node) historian(namespace string) (cluster.Historian, *cluster.Retention, error) {
	if err := n.usable(); err != nil {
		return nil, nil, err
	}
	historian, ok := n.broker.(cluster.Historian)
	kept := n.history(namespace)
	if !ok || kept == nil {
		return nil, nil, ErrNoHistory
	}
	return historian, &kept.Retention, nil
}

// RemoveFromHistory removes a message from the history of a room, and reports
// whether it was there. The members receive notice of it. A client whose last
// message it was cannot recover from its position. The errors are those of
// History.
func (n *Node) RemoveFromHistory(ctx context.Context, namespace, room string, p Position) (bool, error) {
	historian, _, err := n.historian(namespace)
	if err != nil {
		return false, err
	}
	position, ok := cluster.ParsePosition([]byte(p))
	if !ok || position.IsZero() {
		return false, ErrPosition
	}
	channel := cluster.RoomChannel(namespace, room)
	removed, err := historian.RemoveFromHistory(ctx, channel, position)
	if removed {
		n.hub.RemovedFromHistory(channel, position)
	}
	return removed, err
}

// ClearHistory removes all messages from the history of a room. The members
// receive notice of it. The errors are those of History.
func (n *Node) ClearHistory(ctx context.Context, namespace, room string) error {
	historian, _, err := n.historian(namespace)
	if err != nil {
		return err
	}
	channel := cluster.RoomChannel(namespace, room)
	if err := historian.ClearHistory(ctx, channel); err != nil {
		return err
	}
	n.hub.RemovedFromHistory(channel, cluster.Position{})
	return nil
}

func historyEntry(e *cluster.HistoryEntry) HistoryEntry {
	m, _ := wire.Parse(e.Envelope.Payload, e.Envelope.Binary)
	return HistoryEntry{
		Message: Message{
			Namespace: string(m.Namespace), Room: string(m.Room), Event: string(m.Event),
			Body: append([]byte(nil), m.Body...), Binary: e.Envelope.Binary,
		},
		Position: Position(e.Envelope.Position.String()), Time: e.Time, Conn: e.Envelope.Origin, User: e.Envelope.User,
	}
}

// keepHistory prepares the hub for the namespaces that keep history, before the
// node starts.
func (n *Node) keepHistory() {
	for _, ns := range n.table() {
		if ns.history != nil {
			n.session.Features |= wire.FeaturePositions
			n.hub.KeepHistory()
			return
		}
	}
}

// fixedRooms returns an error for each namespace whose History or Presence
// changes.
func (n *Node) fixedRooms(next map[string]NamespaceOptions) error {
	var errs []error
	for name, o := range next {
		ns := n.table()[name]
		if ns == nil {
			ns = n.removed[name]
		}
		before, prepared := HistoryOptions{}, n.session.Features&wire.FeaturePositions != 0
		if ns != nil {
			before = ns.policy.Load().History
		}
		if o.History != before && (ns != nil || !prepared) {
			errs = append(errs, fmt.Errorf("node: namespace %q: History cannot change while the node runs", name))
		}
		if ns != nil && o.Presence != ns.presence || ns == nil && o.Presence != PresenceOff && !n.hub.HasPresence() {
			errs = append(errs, fmt.Errorf("node: namespace %q: Presence cannot change while the node runs", name))
		}
	}
	return errors.Join(errs...)
}

// HistoryStats is the part of Stats about the history of rooms.
type HistoryStats struct {
	Rooms        int    // that keep history and have a member on this node
	Bytes        int    // of their recent messages that the node holds
	Reads        uint64 // of the broker's history
	ReadErrors   uint64
	Recovered    uint64 // joins of clients that received all that they had missed
	NotRecovered uint64 // joins of clients for which messages were missing
	Repaired     uint64 // messages that the node has read after an interruption
	Gaps         uint64 // rooms whose gap after an interruption could not be filled
	Confirmed    uint64 // emits, copies of confirmed ones included
	Unconfirmed  uint64 // emits that were to be confirmed
	// Evicted counts messages that have left the histories of the memory broker
	// because all of them were larger than Limits.HistoryMemory.
	Evicted uint64
}

func (n *Node) historyStats() HistoryStats {
	r := n.hub.HistoryStats()
	s := HistoryStats{
		Rooms: r.Rooms, Bytes: r.Bytes, Reads: r.Reads, ReadErrors: r.ReadErrors, Recovered: r.Recovered,
		NotRecovered: r.NotRecovered, Repaired: r.Repaired, Gaps: r.Gaps,
	}
	s.Confirmed, s.Unconfirmed = n.hub.ConfirmStats()
	if m, ok := n.broker.(*cluster.Memory); ok {
		s.Evicted = m.Evicted()
	}
	return s
}
