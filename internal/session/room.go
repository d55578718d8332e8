package session

import "slices"

// From indexAbove rooms on a namespace finds them by a map; at indexBelow it
// goes back to walking. The gap keeps a session that joins and leaves at the
// border from building the map again and again.
const (
	indexAbove = 16
	indexBelow = 8
)

// room returns the joined room of this name, or nil.
func (m *membership) room(name []byte) Room {
	if i := m.position(name); i >= 0 {
		return m.rooms[i]
	}
	return nil
}

func (m *membership) position(name []byte) int {
	if m.index != nil {
		if i, ok := m.index[string(name)]; ok {
			return int(i)
		}
		return -1
	}
	for i, room := range m.rooms {
		if room.Name() == string(name) {
			return i
		}
	}
	return -1
}

// join adds a room that is not there yet.
func (m *membership) join(room Room) {
	m.rooms = append(m.rooms, room)
	switch {
	case m.index != nil:
		m.index[room.Name()] = int32(len(m.rooms) - 1)
	case len(m.rooms) > indexAbove:
		m.index = make(map[string]int32, len(m.rooms))
		for i, joined := range m.rooms {
			m.index[joined.Name()] = int32(i)
		}
	}
}

// leave removes the room at a position. The last one takes its place.
func (m *membership) leave(i int) Room {
	gone, last := m.rooms[i], len(m.rooms)-1
	if m.index != nil {
		m.index[m.rooms[last].Name()] = int32(i)
		delete(m.index, gone.Name())
	}
	m.rooms[i] = m.rooms[last]
	m.rooms[last] = nil
	m.rooms = m.rooms[:last]
	switch {
	case last == 0:
		m.rooms = nil
	case m.index != nil && last <= indexBelow:
		m.index = nil
		m.rooms = slices.Clone(m.rooms)
	}
	return gone
}
