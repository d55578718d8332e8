// Package closecode knows which WebSocket close codes a close frame may carry.
// It imports nothing.
package closecode
