package rooms

import (
	"hash/maphash"
	"math/bits"
)

const (
	// scanLimit is the size up to which a set is searched member by member: two
	// cache lines of pointers cost no more than one look-up in a table.
	scanLimit = 16
	// unscanLimit is the size at which the table is given up again. It is half
	// of scanLimit, so that a room around the limit does not build a table per
	// join.
	unscanLimit = scanLimit / 2

	minSlots = 32
	// A table grows when 13 of 16 slots are taken: linear probing then looks at
	// 15 slots (two cache lines) for a member that is not there; at 7/8 it
	// would be 32.
	loadNumerator, loadDenominator = 13, 16

	// A slice gives memory back when only a quarter of it is used.
	shrinkFraction = 4
)

// seed makes the tables' order unpredictable. One for all of them, so that an
// Index needs no constructor.
var seed = maphash.MakeSeed()

// set holds members without order. The zero value is empty.
type set[M comparable] struct {
	members []M
	// table finds a member's position in a large set; nil in a small one.
	table *table
	// single backs members while there is only one: most private rooms have one
	// member per loop and need no second allocation.
	single [1]M
}

// table maps hashes to positions by linear probing. A slot's home is given by
// the upper bits of its hash, so growing moves the slots in order.
type table struct {
	slots []slot
	shift uint8
}

// slot is free while place is 0. The hash is kept so that growing and removing
// never touch the members, which are spread over the heap.
type slot struct {
	hash  uint32
	place uint32 // position in members, plus one
}

func hashOf[M comparable](m M) uint32 {
	return uint32(maphash.Comparable(seed, m) >> 32)
}

// add reports whether m was not in the set before.
func (s *set[M]) add(m M) (added bool) {
	if s.table == nil {
		for _, member := range s.members {
			if member == m {
				return false
			}
		}
		s.push(m)
		if len(s.members) > scanLimit {
			s.index(minSlots)
		}
		return true
	}
	hash := hashOf(m)
	if _, found := s.find(hash, m); found {
		return false
	}
	s.push(m)
	if size := len(s.table.slots); len(s.members)*loadDenominator > size*loadNumerator {
		s.table.resize(size * 2)
	}
	s.table.insert(slot{hash: hash, place: uint32(len(s.members))})
	return true
}

// remove reports whether m was in the set.
func (s *set[M]) remove(m M) (removed bool) {
	position := -1
	if s.table == nil {
		for i, member := range s.members {
			if member == m {
				position = i
				break
			}
		}
		if position < 0 {
			return false
		}
	} else {
		at, found := s.find(hashOf(m), m)
		if !found {
			return false
		}
		position = int(s.table.slots[at].place) - 1
		s.table.remove(at)
		if last := len(s.members) - 1; position != last {
			moved := s.table.locate(hashOf(s.members[last]), uint32(last+1))
			s.table.slots[moved].place = uint32(position + 1)
		}
	}
	last := len(s.members) - 1
	s.members[position] = s.members[last]
	var none M
	s.members[last] = none
	s.members = s.members[:last]
	s.shrink()
	return true
}

// find returns the slot of m in the table.
func (s *set[M]) find(hash uint32, m M) (at int, found bool) {
	slots := s.table.slots
	mask := len(slots) - 1
	for i := s.table.home(hash); slots[i].place != 0; i = (i + 1) & mask {
		if slots[i].hash == hash && s.members[slots[i].place-1] == m {
			return i, true
		}
	}
	return 0, false
}

func (s *set[M]) push(m M) {
	switch {
	case len(s.members) == 0:
		s.single[0] = m
		s.members = s.single[:1:1]
	case len(s.members) == 1 && cap(s.members) == 1:
		s.members = append(s.members, m)
		var none M
		s.single[0] = none
	default:
		s.members = append(s.members, m)
	}
}

// shrink gives back what a set that was larger does not need any more.
func (s *set[M]) shrink() {
	count := len(s.members)
	switch {
	case count == 0:
		s.members = nil
	case cap(s.members) < shrinkFraction || count*shrinkFraction > cap(s.members):
	case count == 1:
		s.single[0] = s.members[0]
		s.members = s.single[:1:1]
	default:
		s.members = append(make([]M, 0, count*2), s.members...)
	}
	if s.table == nil {
		return
	}
	if count <= unscanLimit {
		s.table = nil
		return
	}
	if size := len(s.table.slots); size > minSlots && count*shrinkFraction <= size/2 {
		s.table.resize(size / 2)
	}
}

// index builds the table of a set that has outgrown scanning.
func (s *set[M]) index(size int) {
	s.table = newTable(size)
	for i, member := range s.members {
		s.table.insert(slot{hash: hashOf(member), place: uint32(i + 1)})
	}
}

func newTable(size int) *table {
	return &table{slots: make([]slot, size), shift: uint8(32 - bits.TrailingZeros(uint(size)))}
}

func (t *table) home(hash uint32) int {
	return int(hash >> t.shift)
}

func (t *table) insert(s slot) {
	mask := len(t.slots) - 1
	i := t.home(s.hash)
	for t.slots[i].place != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = s
}

// locate returns the slot of a place that is known to be in the table.
func (t *table) locate(hash, place uint32) int {
	mask := len(t.slots) - 1
	i := t.home(hash)
	for t.slots[i].place != place {
		i = (i + 1) & mask
	}
	return i
}

// remove frees a slot and moves those behind it up, so that no tombstones are
// needed: a slot may move to the gap unless its home lies behind the gap.
func (t *table) remove(gap int) {
	mask := len(t.slots) - 1
	for i := (gap + 1) & mask; t.slots[i].place != 0; i = (i + 1) & mask {
		home := t.home(t.slots[i].hash)
		if (i-home)&mask >= (i-gap)&mask {
			t.slots[gap] = t.slots[i]
			gap = i
		}
	}
	t.slots[gap] = slot{}
}

func (t *table) resize(size int) {
	old := t.slots
	*t = *newTable(size)
	for _, s := range old {
		if s.place != 0 {
			t.insert(s)
		}
	}
}
