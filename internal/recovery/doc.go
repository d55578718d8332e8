// Package recovery gives returning clients the messages that they have missed.
// It keeps the recent messages of the rooms with members on this node, and
// reads older ones from the broker's history. The decisions are those of
// package ring.
//
// # One read per room
//
// A room is opened with one read of the broker, before its first member on the
// node enters. From then on its ring has every message, and serves all clients
// that come back. A client whose position is older than the ring causes one
// further read, which serves all others as well.
//
// A position of which nothing is known may be forged. In a room whose ring
// reaches back as far as the retention, it costs no read. Start positions, and
// rooms that are too large for the memory, cost at most one read in olderPause,
// however many clients there are.
//
// # After an interruption
//
// When the node's subscriptions were interrupted, each room is read again,
// from the last message that was delivered. Until the answer, its messages are
// kept back: the missed ones are delivered before the new ones. If some are
// lost for good, the members receive notice (Config.Gap), also if the broker
// does not answer for too long: then the others are delivered behind the gap.
//
// # Order
//
// The lock of a room's stripe is held while its messages are posted to the
// inboxes of the loops, and while a client's recovery is. So the inbox of a
// loop has them in the order of the ring: a recovery contains exactly the
// messages that were posted before it.
package recovery
