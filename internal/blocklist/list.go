package blocklist

import (
	"cmp"
	"errors"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// MaxEntries bounds the blocks that a node may add to.
const MaxEntries = 1 << 16

// liftedFor is how long the end of a block is remembered that this node did not
// know.
const liftedFor = time.Hour

// ErrFull is returned when a list has MaxEntries.
var ErrFull = errors.New("blocklist: too many users are blocked")

// Entry is the newest decision about one user, as it travels between nodes.
type Entry struct {
	User   string `json:"user"`
	Reason string `json:"reason,omitempty"`
	// Version orders the decisions about a user: Unix microseconds, or one more
	// than the version before.
	Version int64 `json:"version"`
	// Left is how many milliseconds the entry lasts.
	Left int64 `json:"left"`
	// Lifted means that the user is not blocked any more.
	Lifted bool `json:"lifted,omitempty"`
}

// List holds the entries of a node. The zero value is empty. All methods are
// safe for concurrent use.
type List struct {
	count   atomic.Int64 // of entries, so that an empty list costs no lock
	mu      sync.RWMutex
	entries map[string]entry // guarded by mu; by user
}

type entry struct {
	Entry
	end time.Time
}

// newer reports whether e replaces other. All nodes decide in the same way.
func (e *Entry) newer(other *Entry) bool {
	if e.Lifted != other.Lifted && e.Version == other.Version {
		return e.Lifted
	}
	return cmp.Or(cmp.Compare(e.Version, other.Version), strings.Compare(e.Reason, other.Reason)) > 0
}

// Block blocks a user from now on, for a duration.
func (l *List) Block(user, reason string, d time.Duration, now time.Time) (Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, found := l.entries[user]
	if !found && len(l.entries) >= MaxEntries {
		return Entry{}, ErrFull
	}
	e := entry{Entry{User: user, Reason: reason, Version: max(now.UnixMicro(), before.Version+1)}, now.Add(d)}
	l.put(e)
	return e.at(now), nil
}

// Lift ends the block of a user.
func (l *List) Lift(user string, now time.Time) Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, found := l.entries[user]
	if !found {
		before.end = now.Add(liftedFor)
	}
	e := entry{Entry{User: user, Version: max(now.UnixMicro(), before.Version+1), Lifted: true}, before.end}
	l.put(e)
	return e.at(now)
}

// Merge adds entries of another node, those that are newer, and returns the
// ones that block a user.
func (l *List) Merge(entries []Entry, now time.Time) (blocked []Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, received := range entries {
		before, found := l.entries[received.User]
		if received.Left <= 0 || found && !received.newer(&before.Entry) {
			continue
		}
		e := entry{received, now.Add(time.Duration(min(received.Left, maxLeft)) * time.Millisecond)}
		if e.Lifted && before.end.After(e.end) {
			e.end = before.end
		}
		l.put(e)
		if !e.Lifted {
			blocked = append(blocked, received)
		}
	}
	return blocked
}

// maxLeft is what fits into a time.Duration, in milliseconds.
const maxLeft = int64(1<<63-1) / int64(time.Millisecond)

// put stores an entry. It is called with mu held.
func (l *List) put(e entry) {
	if l.entries == nil {
		l.entries = make(map[string]entry)
	}
	l.entries[e.User] = e
	l.count.Store(int64(len(l.entries)))
}

// Blocked reports whether the user is blocked, and why. It does not allocate.
func (l *List) Blocked(user string, now time.Time) (reason string, blocked bool) {
	if l.count.Load() == 0 {
		return "", false
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	e, found := l.entries[user]
	return e.Reason, found && !e.Lifted && now.Before(e.end)
}

// Prune drops the entries that have ended, and returns how many are left.
func (l *List) Prune(now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for user, e := range l.entries {
		if !now.Before(e.end) {
			delete(l.entries, user)
		}
	}
	l.count.Store(int64(len(l.entries)))
	return len(l.entries)
}

// Users is how many users are blocked.
func (l *List) Users(now time.Time) int {
	if l.count.Load() == 0 {
		return 0
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	users := 0
	for _, e := range l.entries {
		if !e.Lifted && now.Before(e.end) {
			users++
		}
	}
	return users
}

// Entries returns those that have not ended, in no particular order.
func (l *List) Entries(now time.Time) []Entry {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make([]Entry, 0, len(l.entries))
	for _, e := range l.entries {
		if now.Before(e.end) {
			all = append(all, e.at(now))
		}
	}
	return all
}

// Digest is a number that differs for lists that differ, but with negligible
// probability. It is 0 for an empty list.
func (l *List) Digest(now time.Time) uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var sum uint64
	for _, e := range l.entries {
		if !now.Before(e.end) {
			continue
		}
		h := fnv.New64a()
		// A user's ID has no control characters, so the parts are distinct.
		_, _ = h.Write([]byte(e.User + "\x00" + strconv.FormatInt(e.Version, 10) + "\x00" + strconv.FormatBool(e.Lifted) + e.Reason))
		sum += h.Sum64()
	}
	return sum
}

// at is the entry as it travels now.
func (e entry) at(now time.Time) Entry {
	e.Left = max(1, e.end.Sub(now).Milliseconds())
	return e.Entry
}
