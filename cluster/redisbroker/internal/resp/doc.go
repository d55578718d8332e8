// Package resp is the wire format of subscribed connections to Redis, RESP2.
// Reading allocates one object for a message, and never more than the bytes
// that have arrived.
package resp
