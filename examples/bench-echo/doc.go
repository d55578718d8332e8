// Command bench-echo is the peer of benchmarks. In the namespace "default" it
// relays the emits of clients into rooms, such as the event "chat", and answers
// the ask "echo" with its body.
//
//	go run ./examples/bench-echo -listen 127.0.0.1:8080 -loops 1
package main
