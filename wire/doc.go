// Package wire is a pure codec for Stoa's message protocol, which is that of
// the neffos framework. It holds the messages, their limits, the error texts
// and the close codes. It imports only the standard library, keeps no state,
// and does no I/O. Package internal/session has the rules for sequences of
// messages.
//
// # Message
//
// One WebSocket message, text or binary, carries one protocol message: seven
// fields with six semicolons between them.
//
//	$7;default;lobby;chat;0;0;hello; all
//	+- +------ +---- +--- | | +---------
//	|  |       |     |    | | body: the rest, semicolons included
//	|  |       |     |    | no-op flag
//	|  |       |     |    error flag: the body is an error text
//	|  |       |     event
//	|  |       room, empty: none
//	|  namespace
//	wait token, empty: no answer is expected
//
// A semicolon in namespace, room or event is written as "@%!semicolon@%!"; a
// name that really contains this text arrives as a semicolon. Token and body
// are not escaped. A flag is true if it is exactly "1". A payload with fewer
// than six semicolons is not a message. Whether the frame is text or binary
// is a property of the message, but not part of the payload.
//
// # Acknowledgement
//
// Before messages flow the client says hello and gets one answer, which must
// be the first frame it sees and a text frame:
//
//	M         client to server: hello; only the first byte counts
//	A<id>     accepted, the rest is the connection ID, not escaped
//	H<text>   refused, the rest is the error text, never empty; a close frame
//	          follows, whose code says whether to try again
//
// Both ends can name features, each after a space, behind the M and behind the
// ID. A server names only those that the client has named.
//
// # Answers
//
// A message with a token is a request, an answer repeats the token:
//
//	$7;;;;;;                              done: the empty reply, always a text frame
//	$7;default;lobby;chat;0;0;body        a reply with a body
//	$7;default;lobby;chat;1;0;bad room    refused: the request with the error flag
//
// Clients make tokens of "$" and digits, servers of digits alone. Some events
// are requests of the protocol itself and need a token; SystemKind knows them.
// The first four are those of neffos.
//
//	_OnNamespaceConnect     _OnRoomJoin
//	_OnNamespaceDisconnect  _OnRoomLeave (from neffos.js also _OnRoomLeft)
//	_OnAuthenticate         _OnRoomRecover (a join, after which missed messages
//	                        follow)
//
// # History
//
// An emit of a room with history has its position in the token field, for
// clients that understand it; clients send it back in _OnRoomRecover. A part of
// the history is the answer to the ask _OnHistory.
//
//	@Aa0f;default;lobby;chat;0;0;body
//
// # Volatile emits
//
// A client marks an emit that is worth nothing when it is late by its token
// field, for servers that understand it. Members receive an ordinary emit.
//
//	~;default;lobby;typing;0;0;body
//
// # Limits
//
// Limits bound every length that a peer chooses; nothing is allocated for a
// name before its length is known to be allowed, if Limits.Parse does the
// parsing. Defaults in bytes: message 65536, token 320, namespace 128, room
// 256, event 128.
//
// # Memory
//
// Parsing makes views into the payload and copies only names that contain the
// escape. Everything that writes appends to a slice of the caller. Relaying a
// message allocates nothing.
//
// The recorded conversations in testdata/golden are the protocol in practice;
// the tests of this package, of internal/session and of the TypeScript client
// read them.
package wire
