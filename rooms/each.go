package rooms

import "iter"

// Backward iterates over the room's members so that the body may let the member
// that it was given leave the room, or close it altogether. Members that were
// there from the beginning and did not leave are seen once; those that join in
// the meantime are not seen. If the body lets another member leave than the one
// it was given, some member may be seen twice.
func (r *Room[M]) Backward() iter.Seq[M] { return r.set.backward }

// Backward iterates over the namespace's connections so that the body may
// disconnect the one that it was given; see [Room.Backward].
func (ns *Namespace[M]) Backward() iter.Seq[M] { return ns.set.backward }

// backward starts at the end because a member that leaves is replaced by the
// last one, which has been seen already. members is read again every time: a
// set that shrinks moves to another array.
func (s *set[M]) backward(yield func(M) bool) {
	for i := len(s.members) - 1; i >= 0; i-- {
		if i >= len(s.members) {
			i = len(s.members) - 1
			if i < 0 {
				return
			}
		}
		if !yield(s.members[i]) {
			return
		}
	}
}
