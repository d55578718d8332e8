package rooms

import "strings"

// Index is the membership of one loop. The zero value is empty and ready; it
// must not be copied after first use. Nothing in it is safe for concurrent use.
type Index[M comparable] struct {
	namespaces  map[string]*Namespace[M]
	rooms       int
	memberships int
	connected   int
}

// Connect makes m one of the namespace's connections; the namespace is created
// if it has no members. Connecting again changes nothing. first says that m is
// now the namespace's only connection on this loop and was not before.
func (x *Index[M]) Connect(namespace string, m M) (ns *Namespace[M], first bool) {
	ns = x.namespaces[namespace]
	if ns == nil {
		if x.namespaces == nil {
			x.namespaces = make(map[string]*Namespace[M])
		}
		name := strings.Clone(namespace)
		ns = &Namespace[M]{name: name}
		x.namespaces[name] = ns
	}
	if !ns.set.add(m) {
		return ns, false
	}
	x.connected++
	return ns, ns.Len() == 1
}

// Disconnect takes m out of the namespace's connections; it does nothing if m
// is not one of them. The caller has taken m out of the namespace's rooms
// before. last says that m was the only connection: the namespace no longer
// exists.
func (x *Index[M]) Disconnect(ns *Namespace[M], m M) (last bool) {
	if !ns.set.remove(m) {
		return false
	}
	x.connected--
	if ns.Len() > 0 {
		return false
	}
	x.dropIfEmpty(ns)
	return true
}

// Join makes m a member of the room, which is created if it has no members.
// Joining again changes nothing. first says that m is now the room's only
// member on this loop and was not before. The namespace must have connections:
// joining a room of a namespace that no longer exists is a bug of the caller
// and panics.
func (x *Index[M]) Join(ns *Namespace[M], room string, m M) (r *Room[M], first bool) {
	r = ns.rooms[room]
	if r == nil {
		if x.namespaces[ns.name] != ns {
			panic("rooms: join in a namespace without connections")
		}
		r = &Room[M]{name: strings.Clone(room), namespace: ns}
		ns.putRoom(r)
		x.rooms++
	}
	if !r.set.add(m) {
		return r, false
	}
	x.memberships++
	return r, r.Len() == 1
}

// Leave takes m out of the room; it does nothing if m is not a member. last
// says that m was the only member: the room no longer exists.
func (x *Index[M]) Leave(r *Room[M], m M) (last bool) {
	if !r.set.remove(m) {
		return false
	}
	x.memberships--
	if r.Len() > 0 {
		return false
	}
	ns := r.namespace
	ns.deleteRoom(r.name)
	x.rooms--
	x.dropIfEmpty(ns)
	return true
}

// dropIfEmpty forgets a namespace without connections and rooms. A caller that
// disconnects before it leaves keeps the namespace until it has left.
func (x *Index[M]) dropIfEmpty(ns *Namespace[M]) {
	if ns.Len() > 0 || len(ns.rooms) > 0 {
		return
	}
	delete(x.namespaces, ns.name)
	if len(x.namespaces) == 0 {
		x.namespaces = nil
	}
}

// Namespace returns the namespace, nil if it has no members.
func (x *Index[M]) Namespace(name string) *Namespace[M] {
	return x.namespaces[name]
}

// Room returns the room, nil if it has no members.
func (x *Index[M]) Room(namespace, room string) *Room[M] {
	ns := x.namespaces[namespace]
	if ns == nil {
		return nil
	}
	return ns.rooms[room]
}

// Rooms is the number of rooms of all namespaces.
func (x *Index[M]) Rooms() int { return x.rooms }

// Memberships is the number of members of all rooms; a member of three rooms
// counts three times.
func (x *Index[M]) Memberships() int { return x.memberships }

// Connected is the number of connections of all namespaces; a connection in
// three namespaces counts three times.
func (x *Index[M]) Connected() int { return x.connected }
