// Command force-connect is a server that takes the initiative: it connects each
// client to a namespace and joins it to a room without being asked, puts a question
// to it from inside a handler, and takes it out again.
//
//	go run ./examples/force-connect -listen 127.0.0.1:8080
//
// Clients must know the namespace "tour". They receive "welcome" in the room
// "entrance", and say where they want to go by emitting "go" with the name of a
// room. The server asks them "ticket"; with the answer "paid" they are moved to that
// room, with anything else they are shown out: they leave all rooms and are
// disconnected from the namespace.
package main
