package ring

import "github.com/stoa-io/stoa/cluster"

// maxOrigins bounds the incarnations of which a ring knows the last number.
const maxOrigins = 256

// origins are the last numbers of incarnations.
type origins struct {
	last   []cluster.Position // the one that was heard last is at the end
	recent int                // so many were heard since the ring began with a page
}

// find returns the place of an incarnation, or -1.
func (o *origins) find(incarnation uint64) int {
	for i := len(o.last) - 1; i >= 0; i-- {
		if o.last[i].Incarnation == incarnation {
			return i
		}
	}
	return -1
}

// has reports whether the number of a message is not greater than the last one
// of its incarnation.
func (o *origins) has(p cluster.Position) bool {
	i := o.find(p.Incarnation)
	return i >= 0 && p.Number <= o.last[i].Number
}

// isNewer reports whether the number of a message is greater than the last one
// of its incarnation, which is known.
func (o *origins) isNewer(p cluster.Position) bool {
	i := o.find(p.Incarnation)
	return i >= 0 && p.Number > o.last[i].Number
}

func (o *origins) isRecent(incarnation uint64) bool {
	i := o.find(incarnation)
	return i >= len(o.last)-o.recent
}

// add notes a message, and returns false if it is a repeat.
func (o *origins) add(p cluster.Position) bool {
	i := o.find(p.Incarnation)
	if i >= 0 && p.Number <= o.last[i].Number {
		return false
	}
	o.put(i, p)
	return true
}

// note notes a message that may be a repeat.
func (o *origins) note(p cluster.Position) {
	i := o.find(p.Incarnation)
	if i >= 0 {
		p.Number = max(p.Number, o.last[i].Number)
	}
	o.put(i, p)
}

// put moves the incarnation at a place to the end; -1 stands for a new one.
func (o *origins) put(i int, p cluster.Position) {
	if i < len(o.last)-o.recent {
		o.recent++
	}
	switch {
	case i < 0 && len(o.last) < maxOrigins:
		o.last = append(o.last, p)
		return
	case i < 0:
		i = 0
	}
	copy(o.last[i:], o.last[i+1:])
	o.last[len(o.last)-1] = p
	o.recent = min(o.recent, len(o.last))
}
