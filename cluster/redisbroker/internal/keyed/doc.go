// Package keyed keeps the newest message of each key of a channel in Redis.
//
// The messages are in a hash. Scripts of the server write it, in the
// transaction that publishes the message:
//
//	<cluster>:k:<channel>   a hash; expires after the retention's age
//	<cluster>:ko:<channel>  a sorted set of the fields "k…" by their time
//
//	field             value
//	"k" and the key   time (16 digits), size of the payload (10 digits), envelope
//	"i" incarnation   the number of its last message, so that repeats are known
//	"b"               the size of all payloads
//	"t"               the time of the newest message
//
// The time is that of the server in microseconds, or one more than that of the
// message before. So it is the order of the channel.
//
// A repeat must not take the place of a newer message of another publisher: its
// number tells it. If the hash has become large, the numbers of all but the
// publisher are forgotten, since most of these nodes have ended.
package keyed
