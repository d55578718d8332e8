package rooms

// Capacities is what a room or namespace holds on to, for tests that memory is
// given back.
type Capacities struct {
	Members, Slots int
}

// Capacities of the room's member set.
func (r *Room[M]) Capacities() Capacities { return r.set.capacities() }

// Capacities of the namespace's member set.
func (ns *Namespace[M]) Capacities() Capacities { return ns.set.capacities() }

// RoomPeak is the size that the namespace's map of rooms was made for.
func (ns *Namespace[M]) RoomPeak() int { return ns.peak }

// Namespaces is the number of namespaces in the index.
func (x *Index[M]) Namespaces() int { return len(x.namespaces) }

func (s *set[M]) capacities() Capacities {
	c := Capacities{Members: cap(s.members)}
	if s.table != nil {
		c.Slots = len(s.table.slots)
	}
	return c
}

// Vacated returns the members beyond the set's length that its array still
// holds: they would keep closed connections alive.
func (r *Room[M]) Vacated() []M {
	members := r.set.members
	return members[len(members):cap(members)]
}
