package session

import "unsafe"

// AsksInFlight returns how many asks a session remembers.
func AsksInFlight(s *Session) int {
	if s.work == nil {
		return 0
	}
	return len(s.work.asks)
}

// Idle reports whether a session holds nothing that is in flight.
func Idle(s *Session) bool { return s.work == nil }

// Footprint returns the bytes that a session and its slices hold, without the
// values that belong to the driver.
func Footprint(s *Session) uintptr {
	size := unsafe.Sizeof(*s) + uintptr(cap(s.namespaces))*unsafe.Sizeof(membership{})
	for i := range s.namespaces {
		size += uintptr(cap(s.namespaces[i].rooms)) * unsafe.Sizeof(Room(nil))
	}
	return size
}
