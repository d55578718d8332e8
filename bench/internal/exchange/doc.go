// Package exchange publishes messages through Redis to itself.
//
// It measures the broker without a node around it: one process publishes to
// many channels, is subscribed to all of them, and checks that each message
// arrives once, in the order of its channel. The messages go through Stoa's
// Redis broker or through go-redis alone, which takes the floor's place.
//
// Run is the main function of the process. The package imports cluster,
// redisbroker, go-redis, and internal/load's protocol and procstat. It exists
// on Linux only.
package exchange
