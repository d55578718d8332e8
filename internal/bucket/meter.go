package bucket

import "sync"

// Limits are the rates of a connection and of the group that it belongs to, and
// how long it may exceed them. They are shared and immutable.
type Limits struct {
	Messages, Bytes           Rate
	GroupMessages, GroupBytes Rate
	// CloseAfter is how long a connection may exceed a rate, in milliseconds; 0
	// is for ever.
	CloseAfter uint32
}

// IsZero reports whether there is no rate.
func (l *Limits) IsZero() bool {
	return l.Messages.IsZero() && l.Bytes.IsZero() && !l.HasGroup()
}

// HasGroup reports whether there is a rate of groups.
func (l *Limits) HasGroup() bool { return !l.GroupMessages.IsZero() || !l.GroupBytes.IsZero() }

// Cause is the rate that a connection exceeds.
type Cause uint8

// The causes.
const (
	Messages Cause = iota
	Bytes
	GroupMessages
	GroupBytes
	Causes // how many there are
)

// String returns the cause in lower-case words joined by "_".
func (c Cause) String() string {
	return [...]string{"messages", "bytes", "user_messages", "user_bytes", "unknown"}[min(c, Causes)]
}

// Group is a number of connections that share rates. It is safe for concurrent
// use. The zero value is ready.
type Group struct {
	mu              sync.Mutex
	messages, bytes Bucket // guarded by mu
}

func (g *Group) take(l *Limits, now uint32, size int) (messages, bytes uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.messages.Take(&l.GroupMessages, now, 1), g.bytes.Take(&l.GroupBytes, now, size)
}

// IsFull reports whether the group has all its tokens.
func (g *Group) IsFull(l *Limits, now uint32) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.messages.IsFull(&l.GroupMessages, now) && g.bytes.IsFull(&l.GroupBytes, now)
}

func (g *Group) giveBack(size int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.messages.Return(1)
	g.bytes.Return(size)
}

// Meter measures the messages of one connection. It belongs to the goroutine
// that reads the connection.
type Meter struct {
	messages, bytes Bucket
	group           *Group // nil: none
	payer           *Group // of the message that waits; nil: none
	paid            int    // its bytes
	since           uint32 // when the connection was paused, or was read again
	until           uint32 // when the message that waits passes
	over            uint32 // how much longer it was paused than read, in milliseconds
	waits           bool   // a message waits
}

// SetGroup makes the connection a member of a group; nil ends that.
func (m *Meter) SetGroup(g *Group) { m.group = g }

// shortest is the shortest pause, in milliseconds, where the burst makes good
// for it: reading a fast sender again costs more than reading one message more.
const shortest = 25

// Admit takes the tokens of a message of so many bytes. If it returns a wait
// above 0, in milliseconds, the connection must not be read before Wake has
// returned 0; the message is then admitted by another call.
func (m *Meter) Admit(l *Limits, now uint32, size int) (wait uint32, cause Cause) {
	if m.waits {
		m.waits = false
		return 0, 0
	}
	own, ownBytes := m.messages.Take(&l.Messages, now, 1), m.bytes.Take(&l.Bytes, now, size)
	var all, allBytes uint32
	if m.group != nil && l.HasGroup() {
		all, allBytes = m.group.take(l, now, size)
	}
	if own|ownBytes|all|allBytes == 0 {
		return 0, 0
	}
	rates := [Causes]*Rate{&l.Messages, &l.Bytes, &l.GroupMessages, &l.GroupBytes}
	for i, one := range [Causes]uint32{own, ownBytes, all, allBytes} {
		if one > wait {
			wait, cause = one, Cause(i)
		}
	}
	wait = max(wait, min(shortest, rates[cause].halfBurst()))
	m.waits, m.payer, m.paid = true, m.group, size
	m.over -= min(m.over, now-m.since)
	m.since, m.until = now, now+wait
	return wait, cause
}

// Pass admits the message that waits at once.
func (m *Meter) Pass() { m.waits = false }

// Wake is called during a pause, at least once per second, and at its end. It
// returns how much longer the pause lasts. exceeded: the connection has
// exceeded a rate for too long.
func (m *Meter) Wake(l *Limits, now uint32) (wait uint32, exceeded bool) {
	m.over = min(m.over+now-m.since, 1<<31)
	m.since = now
	if left := int32(m.until - now); left > 0 {
		wait = uint32(left)
	}
	return wait, l.CloseAfter > 0 && m.over >= l.CloseAfter
}

// Retry ends the pause at the next Wake, for instance because the rates have
// changed.
func (m *Meter) Retry(now uint32) { m.until = now }

// Return gives the tokens of an admitted message back.
func (m *Meter) Return(size int) {
	m.giveBack(m.group, size)
}

func (m *Meter) giveBack(g *Group, size int) {
	m.messages.Return(1)
	m.bytes.Return(size)
	if g != nil {
		g.giveBack(size)
	}
}

// End gives the tokens of a message back that waits and will not be admitted.
func (m *Meter) End() {
	if m.waits {
		m.waits = false
		m.giveBack(m.payer, m.paid)
	}
}

// halfBurst is the time in which half of a burst returns, in milliseconds.
func (r *Rate) halfBurst() uint32 {
	if r.perMilli == 0 {
		return 0
	}
	return uint32(min(r.capacity/2/r.perMilli, 1<<30))
}
