// Package session holds the rules of the message protocol as a state machine
// for both ends of a connection. It imports package wire only and does no I/O:
// payloads go in through Receive, payloads and callbacks come out through a
// Driver. It starts no goroutines, reads no clocks and takes no locks; the
// owner of the connection drives it, from one goroutine at a time. A node
// drives thousands of sessions in the server role, the Go client one in the
// client role.
//
// # Life
//
//	server                                  client
//
//	Init                                    Init, Hello sends M
//	  |                                       |
//	fresh     held back: all but M;         fresh     held back: all but A and H
//	  |       A and H are ignored             |
//	  | M     Driver.Hello                    |
//	greeted   held back: everything           |
//	  |                                       |
//	  | Acknowledge sends A  (or Refuse       | A     Driver.Acknowledged (or H,
//	  |       sends H: closed)                |       Driver.Refused: closed)
//	open      first the held-back messages  open      first the held-back messages
//	  |                                       |
//	  | Close                                 | Close
//	closed    everything is ignored         closed
//
// With Config.NativeOnly a session is open from the start.
//
// A namespace is connected and a room is joined by a request of either side.
// The side that gets the request changes its state when it gives the positive
// answer, the side that asked when it receives it:
//
//	peer asks    Driver.Request, AcceptJoin: Joined, then the answer leaves
//	we ask       AskJoin sends the request; the answer comes: Joined, Answered
//
// The order of callbacks and answers is that of neffos (protocol.md, section
// 5): a connect is answered before Connected; Joined comes before its answer;
// Left and Disconnected come before theirs on a server, and after them, but
// for the rooms of a disconnected namespace, on a client.
//
// # Who answers which token
//
// The first field of a message decides its kind:
//
//	empty                      an emit: no answer is expected
//	"@" and a position         an emit, from a server to a client that has named
//	                           wire.FeaturePositions
//	"~"                        a volatile emit, from a client that has named
//	                           wire.FeatureVolatile
//	ours, in flight            the answer to an ask: Driver.Answered
//	ours, ended                a late answer: counted and dropped, see below
//	anything else              an ask or a request of the peer; the answer
//	                           repeats the token byte for byte
//
// Ours are decimal numbers on a server and "$" with a decimal number on a
// client, from a counter of the session. A number that was never given out is
// the peer's.
//
// A message with a token is always answered. The session answers with an error
// if the message breaks a rule, and positively if there is nothing to do: a
// connect or join that is in effect already, a leave or disconnect without its
// room or namespace. The driver answers otherwise, through Accept, Reject and
// Reply. Only errors, requests with the no-op flag, and tokens that are not
// valid UTF-8 stay without an answer. Error answers are text frames; replies
// keep the frame type of the ask.
//
// # Asks that cross
//
// Both sides may ask for opposite things at the same time. A request is
// refused with "unavailable" (connect, join) or as if its object did not exist
// (disconnect, leave, if it does not) while an ask of this side for the
// opposite is in flight; else each side would end where the other one began.
// A join counts only for the namespace that it was meant for, not for the same
// one connected anew.
//
// An ask that the driver cancels has failed for the program. If the peer did
// it after all, the session asks it to undo a connect or join, and follows a
// disconnect or leave.
//
// # Deferred requests
//
// A driver that cannot decide at once, because it has to ask the broker or a
// handler, calls Defer. Messages after a deferred request wait: Receive returns
// VerdictBusy and takes nothing. Answers to this side's asks are never held up,
// so that the deciding handler may ask the peer; nor are joins of other rooms
// while only joins are deferred, so that a client comes back into all its rooms
// in one round trip.
package session
