// Package once has the script that publishes a message once, and its replies.
//
// A message that is published once is stored and published by a script of the
// server, which first looks for the message's ID. The ID has a key of its own,
// which expires with its window, and whose value is the position and the
// fingerprint of the message. No byte of the ID is part of the key, but a hash
// of fixed length, so that two IDs never share a key, in any channel.
//
// Package redisbroker sends the script. This package does no I/O, and nothing
// here is safe for concurrent use.
package once
