// Command echo sends every WebSocket message back as it came: text as text, binary
// as binary, in order. It has nothing to do with Stoa's protocol; the node is a plain
// WebSocket server here, on any path and for pages of any origin, so that suites that
// check WebSocket implementations can check a node.
//
//	go run ./examples/echo -listen 127.0.0.1:9001
//
// Messages may have up to 16 MiB.
package main
