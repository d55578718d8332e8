package rooms

// minMapPeak is the size below which a map of rooms is not rebuilt: its memory
// is not worth the work.
const minMapPeak = 64

// Namespace is the connections and rooms of one namespace on one loop. It
// exists while it has members; see the package comment.
type Namespace[M comparable] struct {
	name  string
	set   set[M]
	rooms map[string]*Room[M]
	// peak is the largest size of rooms since the map was built. Go's maps
	// never shrink, so the map is built anew when it has become mostly empty.
	peak int
}

// Name is the namespace's name: always the same string, which a caller may
// keep.
func (ns *Namespace[M]) Name() string { return ns.name }

// Len is the number of connections.
func (ns *Namespace[M]) Len() int { return len(ns.set.members) }

// Members is a view of the namespace's connections in no particular order. It
// must not be written to, and is valid until the next Connect or Disconnect in
// the namespace; to disconnect while iterating use Backward.
func (ns *Namespace[M]) Members() []M { return ns.set.members }

// Room returns the namespace's room, nil if it has no members.
func (ns *Namespace[M]) Room(name string) *Room[M] { return ns.rooms[name] }

func (ns *Namespace[M]) putRoom(r *Room[M]) {
	if ns.rooms == nil {
		ns.rooms = make(map[string]*Room[M])
	}
	ns.rooms[r.name] = r
	ns.peak = max(ns.peak, len(ns.rooms))
}

func (ns *Namespace[M]) deleteRoom(name string) {
	delete(ns.rooms, name)
	count := len(ns.rooms)
	if ns.peak < minMapPeak || count*shrinkFraction > ns.peak {
		return
	}
	kept := make(map[string]*Room[M], count)
	for name, r := range ns.rooms {
		kept[name] = r
	}
	ns.rooms, ns.peak = kept, count
}
