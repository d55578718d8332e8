// Package node holds connections: event loops, the WebSocket protocol, and the
// way of a message from one client through the broker to all others.
package node
