// Package rendezvous chooses the server of a channel. Every server has a score
// for a channel, and the server with the highest score has the channel. All
// nodes compute the same result without talking. An added server takes its
// share evenly from the others, and no other channel moves.
package rendezvous
