// Command echo returns every WebSocket message unchanged and in order. It does
// not use Stoa's protocol: the node is a plain WebSocket server here, on any
// path and for pages of any origin, so that suites for WebSocket
// implementations can check a node.
//
//	go run ./examples/echo -listen 127.0.0.1:9001
//
// Messages may have up to 16 MiB.
package main
