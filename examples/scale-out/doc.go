// Command scale-out runs any number of nodes as one over Redis. Its handlers
// reach connections of every node by their IDs.
//
//	go run ./examples/scale-out -listen 127.0.0.1:8081 -redis redis://127.0.0.1:6379
//	go run ./examples/scale-out -listen 127.0.0.1:8082 -redis redis://127.0.0.1:6379
//
// Clients of either node connect to the namespace "default". They join rooms
// and emit into them as on a single node. They can ask for the events of
// main.go: "whoami", "find", "tell", "question", "invite", "nodes".
package main
