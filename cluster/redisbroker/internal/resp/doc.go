// Package resp reads subscribed connections to Redis, in RESP2. It allocates
// one object for a message, and never more than the bytes that have arrived.
package resp
