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
//	Hold     the subscription has ended, and may have lost messages
//	Receive  keeps the messages back
//	Ask      the page after Head is about to be read
//	Open     the page with which a room begins
//	Repair   the missed messages are to be delivered first, then those that
//	         were kept back
//	GiveUp   there is no page
//
// The page must have been read after the subscription was confirmed (again). A
// message is then in the page, or kept back, or arrives later, or several of
// these.
//
// # Late messages
//
// The subscription may be slower than the read: it then brings messages that
// precede the page, or repeats of such. Numbers tell them from new ones if the
// page has a message of the same incarnation. If it has none because it is cut,
// only a later page can tell: for some time after such a page, the ring holds
// at the first message of each unknown incarnation, and asks.
//
// # Keys
//
// If the retention has keys, the ring also knows the newest message of each,
// as of its head: from the page with which the room begins, and from the
// messages since. Where it had to drop that, it collects the messages from the
// time of a read on (CollectLatest), so that Prepend can put both together.
// Messages of the page that the ring has yet to receive are left out, as they
// follow.
//
// # Loss of the server
//
// A server that restarts may have lost the newest messages. The ring has a gap
// if the head is among them; else nothing shows the loss. Publishers send some
// of them again, at later places (Message.Resent). Members that have one do not
// receive it again, and positions from before its new place do not tell what a
// client has. A client that has entered between the loss and the new place may
// not have it, and has notice (Missed).
package ring
