// Peer is a Stoa node that its clients control, for the tests of the client
// libraries. The tests use every name of the object model from both ends. Peer
// prints its address, as the examples do. test/compat/go/server is the same
// with a neffos server.
//
// Query parameters of the dial:
//
//	refuse=TEXT   the connection is refused: HTTP status 403, or that of status=NUMBER
//	              (neffos: the text, in the acknowledgement)
//	bring=NAME    the server connects the client to this namespace
//	life=TIME     the identity of the connection ends after this time, "2s"; a token
//	              that the client hands in is the time of the next one (not neffos)
//
// Namespaces: "default", "second", "brought", "deny" (refuses: "not allowed"),
// "n;s" (answers the event "e;v" with the body), and "" for native messages,
// which are answered with "native:" before them, and "kept", whose rooms have a
// history of five messages and show their members (not neffos). In "default"
// the room "locked" cannot be joined ("room is locked") and the room "sticky"
// cannot be left ("cannot leave"). Events there:
//
//	echo         an ask, answered with its body; also in "second" and "brought"
//	fail         an ask, answered with the error "boom;1"
//	silent       an ask that is never answered
//	header       an ask, answered with the value of the header or URL parameter
//	             that the body names
//	chat         is relayed to the other members, of the room if it has one
//	push         comes back as "pushed"; push-binary comes back in a binary frame
//	do           the body, "ask EVENT", "connect NAMESPACE", "join ROOM", "leave ROOM" or
//	             "disconnect NAMESPACE", is the server's request to the client;
//	             "did" returns the result: the answer's body, "done", or "error: TEXT"
//	end          the server closes the connection: with the close code and the reason in
//	             the body, "1012 moved; retry-after=300" (neffos: without either)
package main
