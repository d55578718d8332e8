// Command chat is a chat server that has a say in what its clients do: nobody
// enters a room without a name, what is said is tidied up before it is relayed, and
// the members of a room are told who comes and goes.
//
//	go run ./examples/chat -listen 127.0.0.1:8080
//
// Clients dial ws://127.0.0.1:8080/ws?name=Ada, connect to the namespace "chat", join
// rooms and emit "chat" into them. They receive "chat" with the text of others, "came"
// and "went" with a name, and "refused" with the reason why a text of their own was
// not relayed.
package main
