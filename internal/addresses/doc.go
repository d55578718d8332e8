// Package addresses counts the connections and the handshakes of each address.
// So one of them cannot take the place or the time of all others.
//
// A [Table] has a bounded size. It does no I/O, and its caller has the clock.
package addresses
