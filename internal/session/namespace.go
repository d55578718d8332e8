package session

// membership is a connected namespace and the rooms joined in it.
type membership struct {
	namespace Namespace
	rooms     []Room
	// generation tells a namespace from the same one before it was
	// disconnected.
	generation uint32
	// index is nil while there are few rooms: a short walk beats a map, in time
	// and above all in memory.
	index map[string]int32
}

// find returns the membership of a namespace by name, or nil. The pointer is
// good until a namespace is connected or disconnected.
func (s *Session) find(name []byte) *membership {
	for i := range s.namespaces {
		if s.namespaces[i].namespace.Name() == string(name) {
			return &s.namespaces[i]
		}
	}
	return nil
}

// membership returns the membership of exactly this value: a handle from
// before the namespace was disconnected finds nothing.
func (s *Session) membership(namespace Namespace) *membership {
	for i := range s.namespaces {
		if s.namespaces[i].namespace == namespace {
			return &s.namespaces[i]
		}
	}
	return nil
}

// connect adds a namespace that is not connected yet.
func (s *Session) connect(namespace Namespace) {
	s.generation++
	s.namespaces = append(s.namespaces, membership{namespace: namespace, generation: s.generation})
}

// disconnect takes a membership out of the session, so that nothing a callback
// does can meet it half gone.
func (s *Session) disconnect(found *membership) membership {
	gone := *found
	last := len(s.namespaces) - 1
	*found = s.namespaces[last]
	s.namespaces[last] = membership{}
	s.namespaces = s.namespaces[:last]
	if last == 0 {
		s.namespaces = nil
	}
	return gone
}

// dissolve reports every room of a namespace as left.
func (s *Session) dissolve(gone *membership, local bool) {
	for _, room := range gone.rooms {
		s.driver.Left(gone.namespace, room, local, true)
	}
}
