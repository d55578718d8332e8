package ring

import (
	"strings"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/latest"
)

// OwnKey returns a copy of the key of an envelope for a Message.
func OwnKey(key string) *string {
	if key == "" {
		return nil
	}
	own := strings.Clone(key)
	return &own
}

// keys are the newest messages of the keys.
type keys struct {
	values latest.Values[*Message]
	// known: these are all, as of the ring's head. Else they are those since a
	// page was asked for; cut: without some of them that exceeded the
	// retention.
	known, cut bool
}

func (k *keys) isKnown() bool { return k != nil && k.known }

// memory is about how many bytes the messages take. Those that are among the
// ring's own, too, count twice.
func (k *keys) memory() int {
	if k == nil {
		return 0
	}
	return k.values.Bytes() + k.values.Len()*Overhead
}

// CollectLatest is called before a page is read for Prepend, and returns true
// if the ring needs the newest message of each key with it.
func (r *Ring) CollectLatest() (needed bool) {
	if r.retention.Keys == 0 || r.keys.isKnown() {
		return false
	}
	if r.keys == nil {
		r.keys = &keys{}
	}
	return true
}

// KnowsLatest reports whether the ring has the newest message of each key. It
// may not, after Prepend, if the page has messages that the ring had yet to
// receive, and does not show which.
func (r *Ring) KnowsLatest() bool { return r.keys.isKnown() }

// putLatest takes a message that the ring takes.
func (r *Ring) putLatest(m *Message) {
	if r.keys != nil {
		r.keys.put(m, r.retention)
	}
}

func (k *keys) put(m *Message, retention *cluster.Retention) {
	if m.Key != nil {
		k.values.Put(*m.Key, m.Size, m.Time, m)
		k.cut = k.values.Trim(latest.Limits{Keys: retention.Keys, Bytes: retention.Bytes}) || k.cut
	}
}

// adoptLatest takes those of the page with which the ring begins.
func (r *Ring) adoptLatest(p *Page) {
	if !p.HasLatest || r.retention.Keys == 0 {
		return
	}
	r.keys = &keys{known: true}
	for _, m := range p.Latest {
		r.keys.put(m, r.retention)
	}
}

// learnLatest adds those of a page to those that were received since it was
// asked for.
func (r *Ring) learnLatest(p *Page) {
	k := r.keys
	if !p.HasLatest || k == nil || k.known {
		return
	}
	ahead, ok := r.aheadIn(p)
	if !ok {
		return
	}
	all, follows := &keys{known: true}, positionsOf(ahead)
	for _, m := range p.Latest {
		if !k.cut && !follows[m.Position] {
			all.put(m, r.retention)
		}
	}
	all.values.Add(&k.values) // newer than those of the page, or the same
	r.keys = all
	all.values.Trim(latest.Limits{Keys: r.retention.Keys, Bytes: r.retention.Bytes})
}

// aheadIn returns the messages of a page that the ring has yet to receive. ok
// is false if there may be others. The ring has received all messages before
// one that it has; but one that was sent again may be at a later place now.
func (r *Ring) aheadIn(p *Page) (ahead []*Message, ok bool) {
	for i := len(p.Messages) - 1; i >= 0; i-- {
		switch m := p.Messages[i]; {
		case !r.origins.has(m.Position):
			ahead = append(ahead, m)
		case !m.Resent:
			return ahead, true
		}
	}
	return ahead, len(p.Messages) == 0 || r.head.IsStart() && !p.More && len(p.Messages) < r.retention.Messages
}

// withLatest returns the newest messages of all keys, and then the newest
// messages.
func (r *Ring) withLatest(newest []*Message, now int64) (all []*Message) {
	if !r.keys.isKnown() {
		return newest
	}
	r.keys.values.Trim(latest.Limits{
		Keys: r.retention.Keys, Bytes: r.retention.Bytes, Since: now - r.retention.Age.Milliseconds(),
	})
	within := latest.Limits{Keys: r.retention.Keys, Bytes: r.retention.Bytes}
	among := positionsOf(newest)
	for _, m := range r.keys.values.Within(within) {
		if !among[m.Position] {
			all = append(all, m)
		}
	}
	return append(all, newest...)
}

func positionsOf(messages []*Message) map[cluster.Position]bool {
	positions := make(map[cluster.Position]bool, len(messages))
	for _, m := range messages {
		positions[m.Position] = true
	}
	return positions
}
