// Command chat is a chat server that checks and changes the requests of its
// clients. It rejects a join without a name, trims a text before relaying it,
// and announces joins and leaves to the room.
//
//	go run ./examples/chat -listen 127.0.0.1:8080
//
// Clients dial ws://127.0.0.1:8080/ws?name=Ada, connect to the namespace
// "chat", join rooms and emit "chat" into them. They receive "chat" with the
// text of another member, "came" and "went" with a name, and "refused" with the
// reason why their own text was not relayed.
package main
