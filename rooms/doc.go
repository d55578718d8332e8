// Package rooms is the index of the members of rooms on one loop.
//
// An Index holds the members of the namespaces and rooms of one event loop. It
// is owned by that loop: nothing in it is locked, and no other goroutine may
// call it. A node with four loops has four indexes, and a room with members on
// all of them exists four times.
//
// A member is any comparable value; on a node it is a pointer to the loop's
// side of a connection. The package knows neither sockets nor messages nor the
// other nodes. Connect and Join say whether the member is the first of its
// namespace or room on this loop, Disconnect and Leave whether it was the last:
// the node subscribes to the broker's channels by that.
//
// # Life of a namespace and a room
//
// Both exist while they have members. Connect and Join create them; Disconnect
// and Leave drop them with the last member, and from then on the *Namespace or
// *Room is dead: the next Connect or Join under the same name makes another
// one. Room and namespace names are copied once, when they are created; a
// caller that keeps a name keeps the one that Name returns, so that it exists
// once in memory.
//
// The caller connects a member to a namespace before it joins rooms of it, and
// takes it out of its rooms before it disconnects it. The index does not record
// the rooms of a member: the member's own side of the session does.
//
// # Cost
//
// Joining and leaving take constant time in rooms of any size.
// Members stand in a slice; a member that leaves is replaced by the last one,
// so the order is not stable. Rooms of up to 16 members are searched, larger
// ones have a table of hashes with eight bytes per slot. That makes 18 to 30
// bytes per membership in a large room, and about 115 bytes for a room with one
// member, its name and its entry in the namespace included (BenchmarkMemory).
// Slices, tables and maps shrink when three quarters of them are unused, so a
// room that was large once does not stay so.
//
// The package imports the standard library only.
package rooms
