// Command force-connect is a server that acts first. It connects each client to
// a namespace and joins it to a room without a request, asks the client from
// inside a handler, and makes it leave again.
//
//	go run ./examples/force-connect -listen 127.0.0.1:8080
//
// Clients must know the namespace "tour". They receive "welcome" in the room
// "entrance", and choose the next room by emitting "go" with its name. The
// server asks them "ticket". The answer "paid" moves them to that room. After
// any other answer they leave all rooms and are disconnected from the
// namespace.
package main
