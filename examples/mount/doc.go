// Command mount puts a node under a path of a net/http server. The server has
// other routes, a middleware and a login, whose cookie a client needs to open a
// WebSocket.
//
//	go run ./examples/mount -listen 127.0.0.1:8080
//	curl -i -d user=ada http://127.0.0.1:8080/login
//
// With the cookie, connect to ws://127.0.0.1:8080/ws and its namespace "chat".
package main
