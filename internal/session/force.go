package session

// ForceLeave leaves a room at once and asks the peer to leave it, too; Left is
// called as local and forced. The state of this side does not depend on the
// answer, which ends the returned ask. While that is in flight, the peer's
// request to join the room is refused as unavailable: it may have been sent
// before. The errors are those of AskLeave.
func (s *Session) ForceLeave(namespace Namespace, room Room) (uint64, error) {
	id, err := s.AskLeave(namespace, room)
	if err != nil {
		return 0, err
	}
	// To send may have closed the session.
	if found := s.membership(namespace); found != nil {
		if i := found.position([]byte(room.Name())); i >= 0 {
			s.driver.Left(namespace, found.leave(i), true, true)
		}
	}
	return id, nil
}

// ForceDisconnect is ForceLeave for a namespace. Its error is
// wire.ErrBadNamespace if the namespace is not connected.
func (s *Session) ForceDisconnect(namespace Namespace) (uint64, error) {
	id, err := s.AskDisconnect(namespace)
	if err != nil {
		return 0, err
	}
	if found := s.membership(namespace); found != nil {
		gone := s.disconnect(found)
		s.dissolve(&gone, true)
		s.driver.Disconnected(gone.namespace, true, true)
	}
	return id, nil
}
