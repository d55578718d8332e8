// Package closecode names the WebSocket close codes. It knows which of them a
// close frame may carry. It imports nothing.
package closecode
