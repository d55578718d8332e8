package addresses

import (
	"net/netip"
	"sync"

	"github.com/stoa-io/stoa/internal/bucket"
)

// Limits bounds the addresses. Zero values are no limit.
type Limits struct {
	// Handshakes is the rate of all addresses together, AddressHandshakes that
	// of each.
	Handshakes, AddressHandshakes bucket.Rate
	// Connections is how many connections an address has.
	Connections int
	// Prefix is how many bits of an IPv6 address count, 1 to 128: a client has
	// a whole network of them.
	Prefix int
}

// IsZero reports whether there is no limit.
func (l *Limits) IsZero() bool {
	return l.Handshakes.IsZero() && l.AddressHandshakes.IsZero() && l.Connections <= 0
}

// Key is an IPv4 address, or the network of an IPv6 address.
type Key [16]byte

// KeyOf returns the key of an address with a port, "192.0.2.1:80" or
// "[2001:db8::1]:80". It reports false for anything else, such as a Unix
// socket.
func KeyOf(address string, prefix int) (k Key, ok bool) {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return k, false
	}
	ip := parsed.Addr().WithZone("").Unmap()
	if ip.Is4() {
		return ip.As16(), true
	}
	network, err := ip.Prefix(min(max(prefix, 1), 128))
	if err != nil {
		return k, false
	}
	return network.Addr().As16(), true
}

// Result is what became of an attempt to enter.
type Result uint8

// The results.
const (
	Entered     Result = iota
	AddressFull        // the address has as many connections as it may
	AddressRate        // it has tried too often
	NodeRate           // all addresses together have
)

// Table has the addresses with connections, and those that have tried to
// connect a short time ago. It is safe for concurrent use.
type Table struct {
	mu      sync.Mutex
	limits  Limits         // guarded by mu
	all     bucket.Bucket  // guarded by mu
	entries map[Key]*Entry // guarded by mu
	left    []*Entry       // guarded by mu; had no connection at some time, oldest first
}

// maxLeft bounds the addresses without connections: about 8 MiB. Those with
// connections are bounded by the number of connections.
const maxLeft = 1 << 16

// Entry is one address in a Table.
type Entry struct {
	key    Key
	bucket bucket.Bucket // guarded by Table.mu
	conns  int           // guarded by Table.mu
	queued bool          // guarded by Table.mu; in Table.left
}

// New returns an empty table.
func New(l Limits) *Table {
	return &Table{limits: l, entries: make(map[Key]*Entry)}
}

// Enter counts an attempt to connect at the time of a clock in milliseconds,
// and the connection. The caller owes a Leave for the entry, which may be nil.
// Other results than Entered come without an entry, and with the time after
// which the rate allows another attempt, in milliseconds.
func (t *Table) Enter(address string, now uint32) (e *Entry, result Result, wait uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := &t.limits
	t.tidy(now)
	key, known := KeyOf(address, l.Prefix)
	if !known || l.AddressHandshakes.IsZero() && l.Connections <= 0 {
		if wait = t.all.TryTake(&l.Handshakes, now, 1); wait > 0 {
			return nil, NodeRate, wait
		}
		return nil, Entered, 0
	}
	if e = t.entries[key]; e == nil {
		e = &Entry{key: key}
	}
	if l.Connections > 0 && e.conns >= l.Connections {
		return nil, AddressFull, 0
	}
	if wait = e.bucket.TryTake(&l.AddressHandshakes, now, 1); wait > 0 {
		return nil, AddressRate, wait
	}
	if wait = t.all.TryTake(&l.Handshakes, now, 1); wait > 0 {
		e.bucket.Return(1)
		return nil, NodeRate, wait
	}
	t.entries[key] = e
	e.conns++
	return e, Entered, 0
}

// Leave undoes the count of a connection.
func (t *Table) Leave(e *Entry, now uint32) {
	if e == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.conns--; e.conns == 0 && !e.queued {
		e.queued = true
		t.left = append(t.left, e)
	}
	t.tidy(now)
}

// SetLimits replaces the limits, for later attempts. With another Prefix the
// connections of before count for the networks of before.
func (t *Table) SetLimits(l Limits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limits = l
}

// Len is how many addresses the table has.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.entries)
}

// tidy drops the first addresses that have left and have all their tokens, or
// that are too many. The caller holds mu.
func (t *Table) tidy(now uint32) {
	for len(t.left) > 0 {
		e := t.left[0]
		if e.conns == 0 {
			if len(t.left) <= maxLeft && !e.bucket.IsFull(&t.limits.AddressHandshakes, now) {
				return
			}
			delete(t.entries, e.key)
		}
		e.queued = false
		t.left[0] = nil
		t.left = t.left[1:]
	}
	t.left = nil
}
