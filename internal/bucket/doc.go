// Package bucket limits rates with token buckets.
//
// A [Rate] is shared and immutable; a [Bucket] is the state of one limited
// source: 16 bytes, without a timer of its own. Both count in millionths of a
// token and in milliseconds, as integers: a rate of 10 per second lets exactly
// 10 per second through, for any length of time.
//
// The caller's clock counts milliseconds and wraps after 49 days, as those of
// the event loops do. A bucket that was not used for longer may seem to have
// fewer tokens than it has, never more.
package bucket
