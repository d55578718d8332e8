package outbox

import "slices"

// Window is how many entries are in flight at most. Servers answer 64 of a
// connection.
const Window = 32

// Result is the end of an entry.
type Result uint8

// The results. None: the entry has not ended.
const (
	None         Result = iota
	Confirmed           // it is published
	Refused             // the server has refused the first copy: it is not published
	NotPublished        // no copy was sent
	Unconfirmed         // it may be published
)

// String returns the result in lower-case words.
func (r Result) String() string {
	return [...]string{"none", "confirmed", "refused", "not published", "unconfirmed"}[r]
}

// Answer is the answer of the server to an entry in flight.
type Answer uint8

// The answers.
const (
	// Yes: the message is published.
	Yes Answer = iota + 1
	// No: the server refuses this copy.
	No
	// Later: the copy may be published or not, and can be repeated.
	Later
)

// Entry is a confirmed emit.
type Entry struct {
	// Value is the driver's.
	Value any

	room   any
	flying bool
	doubt  bool // an earlier copy may be published
	last   bool // it is not sent again
	result Result
}

// Result returns how the entry has ended.
func (e *Entry) Result() Result { return e.result }

// Outbox has the entries of one client. The zero value is empty and not
// connected.
type Outbox struct {
	entries   []*Entry // that have not ended, in the order of Add
	flying    int      // without an answer on this connection, ended ones included
	connected bool
	rooms     map[any]*room // in which the server has answered Later
	pauses    int           // the number of the last one
}

// room is the state of a room after an answer Later.
type room struct {
	held     int // the number of the pause; 0: it is over
	failures int // in a row
}

// Len returns the number of entries that have not ended.
func (o *Outbox) Len() int { return len(o.entries) }

// Add adds an entry. The room is any comparable value.
func (o *Outbox) Add(room, value any) *Entry {
	e := &Entry{Value: value, room: room}
	o.entries = append(o.entries, e)
	return e
}

// Connect allows entries to be sent: the client has rejoined its rooms. Timers
// can be late: the driver first calls Expire where it is due, here and before
// Resume.
func (o *Outbox) Connect() { o.connected = true }

// Next returns the next entry to send, which is in flight then, nil if there is
// none. first: it was not sent before.
func (o *Outbox) Next() (e *Entry, first bool) {
	if !o.connected || o.flying >= Window {
		return nil, false
	}
	for _, e := range o.entries {
		if r := o.rooms[e.room]; e.flying || r != nil && r.held != 0 {
			continue
		}
		e.flying = true
		o.flying++
		return e, !e.doubt
	}
	return nil, false
}

// Lost takes the loss of the connection: the entries in flight have no answer
// any more, and wait for the next one. It returns those that have ended.
func (o *Outbox) Lost() (ended []*Entry) {
	o.connected, o.flying, o.rooms = false, 0, nil
	for _, e := range slices.Clone(o.entries) {
		if !e.flying {
			continue
		}
		e.flying, e.doubt = false, true
		if e.last {
			o.end(e, Unconfirmed)
			ended = append(ended, e)
		}
	}
	return ended
}

// Answer takes the answer to an entry of this connection. If that is Later,
// pause is the number of a pause, unless the room has one already: the driver
// calls Resume with it after a while, which grows with failures, the number of
// such answers in a row.
func (o *Outbox) Answer(e *Entry, a Answer) (pause, failures int) {
	if o.flying--; e.result != None {
		return 0, 0
	}
	e.flying = false
	switch {
	case a == Yes:
		if r := o.rooms[e.room]; r != nil && r.held == 0 {
			delete(o.rooms, e.room)
		}
		o.end(e, Confirmed)
	case a == No && !e.doubt:
		o.end(e, Refused)
	case a == No || e.last:
		o.end(e, Unconfirmed)
	default:
		e.doubt = true
		return o.hold(e.room)
	}
	return 0, 0
}

// hold begins the pause of a room.
func (o *Outbox) hold(key any) (pause, failures int) {
	r := o.rooms[key]
	if r == nil {
		if o.rooms == nil {
			o.rooms = make(map[any]*room)
		}
		r = &room{}
		o.rooms[key] = r
	}
	if r.held != 0 {
		return 0, 0
	}
	r.failures++
	o.pauses++
	r.held = o.pauses
	return r.held, r.failures
}

// Resume ends the pause of a room with this number.
func (o *Outbox) Resume(key any, pause int) {
	if r := o.rooms[key]; r != nil && r.held == pause {
		r.held = 0
	}
}

// Expire forbids further copies of an entry: later ones could be published a
// second time. It reports whether the entry has ended.
func (o *Outbox) Expire(e *Entry) bool {
	if e.result != None {
		return false
	}
	e.last = true
	if e.doubt && !e.flying {
		o.end(e, Unconfirmed)
		return true
	}
	return false
}

// Cancel ends an entry, unless it has ended.
func (o *Outbox) Cancel(e *Entry) {
	switch {
	case e.result != None:
	case e.flying || e.doubt:
		o.end(e, Unconfirmed)
	default:
		o.end(e, NotPublished)
	}
}

// Of returns the entries that have not ended, of one room or, for nil, of all.
func (o *Outbox) Of(room any) (entries []*Entry) {
	for _, e := range o.entries {
		if room == nil || e.room == room {
			entries = append(entries, e)
		}
	}
	return entries
}

// end removes an entry. One in flight still takes its place in the window until
// the answer.
func (o *Outbox) end(e *Entry, r Result) {
	e.result = r
	i := slices.Index(o.entries, e)
	if i == 0 {
		o.entries[0] = nil
		o.entries = o.entries[1:]
		return
	}
	o.entries = slices.Delete(o.entries, i, i+1)
}
