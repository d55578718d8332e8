// Package ring is the history of one room on one node, as a state machine. It
// does no I/O, reads no clocks and starts no goroutines. It holds the room's
// recent messages, each once, in the order of its channel, and decides about
// gaps.
//
// # Where messages come from
//
// A message comes over the subscription (Receive), or from the broker's
// history in a page (Open, Repair, Prepend), or both. In a channel the numbers
// of an incarnation only grow (cluster.Position), in the history as well as on
// the subscription. So one number per incarnation tells a repeat from a
// message that is new, whichever way it came.
//
// # Gaps
//
// While messages may be missing, the ring holds what arrives:
//
//	Hold     the subscription begins, or may have lost messages
//	Receive  keeps the messages back
//	Open     the page with which a room begins
//	Repair   the page after Head: the missed messages are to be delivered
//	         first, then those that were kept back
//
// The page must have been read after the subscription was confirmed (again). A
// message is then in the page, or kept back, or arrives later, or several of
// these.
package ring
