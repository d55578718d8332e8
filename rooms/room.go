package rooms

// Room is the members of one room on one loop. It exists while it has members;
// see the package comment.
type Room[M comparable] struct {
	name      string
	namespace *Namespace[M]
	set       set[M]
}

// Name is the room's name: always the same string, which a caller may keep.
func (r *Room[M]) Name() string { return r.name }

// Namespace is the room's namespace.
func (r *Room[M]) Namespace() *Namespace[M] { return r.namespace }

// Len is the number of members.
func (r *Room[M]) Len() int { return len(r.set.members) }

// Members is a view of the room's members in no particular order. It must not
// be written to, and is valid until the next Join or Leave in the room; to let
// members leave while iterating use Backward.
func (r *Room[M]) Members() []M { return r.set.members }
