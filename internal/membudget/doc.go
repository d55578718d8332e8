// Package membudget bounds the memory of all queues of a node.
//
// Each event loop reports how much its queues hold, a few times per second. Up
// to three quarters of the limit that is all. Above, senders are slowed down
// for a moment. Above the limit itself the loop with the largest queue of the
// node that no peer reads is to close it, one after the other.
//
// The loops count a frame once for each queue, although queues share it. So
// their sum is an upper bound for the memory, and the heap is another one: only
// when both are above the limit, the queues may be.
package membudget
