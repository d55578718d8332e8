// Package presence knows the members of rooms on all nodes of a cluster. It
// writes nothing to a database: nodes announce changes in the room's own
// channel, and each node with a member keeps the roster of the room.
//
// # Announcements
//
// A Roster is the state machine for one room on one node. It counts the node's
// own members, and holds a share for each other node. A node numbers its
// announcements, so that another node notices a missing one, and asks for the
// whole share. Announcements are absolute: to apply one twice does no harm.
//
//	first member     the share of a new epoch, number 1; it asks the other nodes
//	                 for their shares
//	later            changes, gathered for a moment
//	interruption     like the first member, with a new epoch; shares that no
//	                 node confirms are dropped
//	node is gone     its share is dropped, by every node on its own, and what
//	                 still arrives from it
//	node comes back  it is asked to begin again
//	answer is lost   the roster begins again, a few times
//
// Epochs are times. If a node's epoch is less than one that another node knows,
// because its clock was turned back, it is asked to begin again behind that.
//
// # Changes for clients
//
// The members of a room learn of joins and leaves together: at most once per
// interval. A leave is shown after a grace time, in which the member may come
// back.
//
// A Roster does no I/O, reads no clocks and starts no goroutines; Rooms drives
// the rosters of a node.
package presence
