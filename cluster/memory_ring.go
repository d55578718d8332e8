package cluster

import (
	"bytes"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/stoa-io/stoa/internal/latest"
)

// memoryHistory is the history of a channel: a ring that grows and shrinks. It
// is guarded by the lock of the channel's stripe.
type memoryHistory struct {
	channel     string
	incarnation uint64 // of its positions
	bucket      uint64 // of memoryHistories.forgotten
	index       int    // in memoryHistories.all
	retention   Retention

	ring    []keptMessage // its length is a power of two, or 0
	head    int           // of the oldest message
	count   int
	bytes   int    // of the payloads
	removed uint64 // the highest number that has left the history

	latest *latest.Values[keptMessage] // the newest of each key; nil if there is none

	counted      int            // its part of memoryBudget.used
	older, newer *memoryHistory // in the order of their last messages
}

// keptMessage is a message of a history. It does not change.
type keptMessage struct {
	number       uint64
	at           time.Duration // of memoryClock
	kind         EnvelopeKind
	binary       bool
	origin, user string
	key          *string // nil: none
	except       []string
	payload      []byte
}

const minRing = 4

// at returns the message at a place, counted from the oldest one.
func (h *memoryHistory) at(i int) *keptMessage { return &h.ring[(h.head+i)&(len(h.ring)-1)] }

// append adds a copy of a message.
func (h *memoryHistory) append(number uint64, env *Envelope, now time.Duration) {
	if h.count == len(h.ring) {
		h.resize(max(minRing, 2*len(h.ring)))
	}
	var last keptMessage
	if h.count > 0 {
		last = *h.at(h.count - 1)
	}
	h.count++
	*h.at(h.count - 1) = keptMessage{
		number: number, at: now, kind: env.Kind, binary: env.Binary,
		// Messages in a row often have one sender.
		origin: ownString(env.Origin, last.origin), user: ownString(env.User, last.user),
		key:    ownKey(env.Key),
		except: slices.Clone(env.Except), payload: bytes.Clone(env.Payload),
	}
	h.bytes += len(env.Payload)
}

// ownString returns a string that keeps no other memory alive.
func ownString(text, own string) string {
	if text == own {
		return own
	}
	return strings.Clone(text)
}

// ownKey returns a copy of a key, nil for none: most messages have none.
func ownKey(key string) *string {
	if key == "" {
		return nil
	}
	own := strings.Clone(key)
	return &own
}

// excess returns the number of the oldest messages, at most limit, that exceed
// a retention.
func (h *memoryHistory) excess(r *Retention, now time.Duration, limit int) (count int) {
	for size := h.bytes; count < min(h.count, limit); count++ {
		k := h.at(count)
		if h.count-count <= r.Messages && size <= r.Bytes && now-k.at <= r.Age {
			break
		}
		size -= len(k.payload)
	}
	return count
}

// find returns the place of the message with a number, or of the first one with
// a higher number.
func (h *memoryHistory) find(number uint64) (i int, found bool) {
	i = sort.Search(h.count, func(i int) bool { return h.at(i).number >= number })
	return i, i < h.count && h.at(i).number == number
}

// drop removes the oldest messages.
func (h *memoryHistory) drop(count int) {
	for range count {
		k := h.at(0)
		h.leave(k)
		*k = keptMessage{}
		h.head = (h.head + 1) & (len(h.ring) - 1)
		h.count--
	}
	h.shrink()
}

// remove removes the message at a place.
func (h *memoryHistory) remove(i int) {
	h.leave(h.at(i))
	for ; i < h.count-1; i++ {
		*h.at(i) = *h.at(i + 1)
	}
	*h.at(h.count - 1) = keptMessage{}
	h.count--
	h.shrink()
}

func (h *memoryHistory) leave(k *keptMessage) {
	h.removed = max(h.removed, k.number)
	h.bytes -= len(k.payload)
}

func (h *memoryHistory) shrink() {
	size := len(h.ring)
	for size > minRing && h.count*shrinkFraction <= size {
		size /= 2
	}
	if size < len(h.ring) {
		h.resize(size)
	}
}

func (h *memoryHistory) resize(size int) {
	ring := make([]keptMessage, size)
	for i := range h.count {
		ring[i] = *h.at(i)
	}
	h.ring, h.head = ring, 0
}
