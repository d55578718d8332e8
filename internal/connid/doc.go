// Package connid encodes the place of a connection in its ID.
//
// An ID is the node's ID, "-", and 16 bytes in base64url: four bytes say on
// which loop and in which slot the connection is, so no table of IDs is needed,
// and twelve random ones make the ID impossible to guess. The random bytes
// alone identify the connection; the slot is only where to look. A node's ID
// may contain "-": an ID is read from its end. It imports the standard library
// only.
package connid
