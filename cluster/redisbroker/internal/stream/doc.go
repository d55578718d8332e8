// Package stream selects the messages of a channel's history from its stream.
//
// Publishers append each kept message to the stream of its channel, in the
// transaction that also publishes it. So the stream has the order of the
// channel. Package redisbroker reads the entries, from the newest one on and a
// few at a time; this package decides which of them are part of a page. It does
// no I/O, and nothing here is safe for concurrent use.
//
// # Repeats
//
// A publisher that does not know whether the server has executed a transaction
// sends it again. The field of these entries says so ([FieldAgain]); all others
// are no repeats. [Repeats] finds out about the former: a message is a repeat
// if an older entry of the same incarnation has its number, or a higher one. If
// the original may have been trimmed, no position up to the entry is found.
//
// # Start positions
//
// A start position has the time at which the stream had no message. It is found
// if no message since then can have left the stream: see [Selection.Start].
package stream
