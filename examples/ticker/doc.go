// Command ticker broadcasts a large number of messages to everybody in a room, as
// fast as the room can take them and without loss.
//
//	go run ./examples/ticker -listen 127.0.0.1:8080 -messages 100000
//
// Clients connect to the namespace "default" and join the room "ticks". When one of
// them emits "start" there, all receive "tick" with the numbers from 1, and then "end"
// with the count. Every -batch ticks they are asked "ready" and must answer. It does not
// matter what, but neffos.js takes an empty answer for none.
package main
