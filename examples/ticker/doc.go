// Command ticker broadcasts many messages to a room as fast as it can take
// them, without loss.
//
//	go run ./examples/ticker -listen 127.0.0.1:8080 -messages 100000
//
// Clients connect to the namespace "default" and join the room "ticks". When
// one of them emits "start" there, all receive "tick" with the numbers from 1,
// and then "end" with the count. The server asks them "ready" every -batch
// ticks and waits for all answers. The body of an answer does not matter, but
// neffos.js takes an empty one for none.
package main
