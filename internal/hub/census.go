package hub

import "sync"

// census counts the members of rooms over all loops, for rooms whose namespace
// limits them. The others are not in it and cost nothing. Each shard counts the
// rooms in Shard.limited.
type census struct {
	mu      sync.Mutex
	members map[string]int // guarded by mu; by channel
}

// take counts one more member, unless the room has as many as it may.
func (x *census) take(channel string, limit int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.members[channel] >= limit {
		return false
	}
	x.addLocked(channel, 1)
	return true
}

// add counts members that have joined, or left.
func (x *census) add(channel string, members int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.addLocked(channel, members)
}

func (x *census) addLocked(channel string, members int) {
	if x.members == nil {
		x.members = make(map[string]int)
	}
	if x.members[channel] += members; x.members[channel] == 0 {
		delete(x.members, channel)
	}
}

// countMembers begins to count the members of a room on this loop, unless it
// has begun.
func (s *Shard) countMembers(channel string) {
	if s.limited[channel] {
		return
	}
	if s.limited == nil {
		s.limited = make(map[string]bool)
	}
	s.limited[channel] = true
	if in, ok := s.channels[channel].members.(*room); ok {
		s.hub.census.add(channel, in.Len())
	}
}

// countJoin counts a connection that is about to enter a room. It returns false
// if the room has as many members as it may; zero is no limit.
func (s *Shard) countJoin(channel string, limit int) bool {
	switch {
	case limit > 0:
		s.countMembers(channel)
		if !s.hub.census.take(channel, limit) {
			s.forgetCount(channel)
			return false
		}
	case s.limited[channel]:
		s.hub.census.add(channel, 1)
	}
	return true
}

// countLeft counts a connection that has left a room.
func (s *Shard) countLeft(channel string) {
	if s.limited[channel] {
		s.hub.census.add(channel, -1)
		s.forgetCount(channel)
	}
}

// forgetCount forgets a room without members on this loop.
func (s *Shard) forgetCount(channel string) {
	if s.channels[channel].members == nil {
		delete(s.limited, channel)
	}
}
