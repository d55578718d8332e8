// Package cluster carries messages between the nodes of a cluster.
//
// A node publishes a client's emit on the channel of its room, and delivers the
// messages of the channels that it subscribes to. Its own messages take the
// same way as those of the other nodes, so that all nodes see one order. The
// package knows no sockets, no rooms and no protocol: an [Envelope] holds the
// bytes for the receivers, and no code here looks into them. It imports only
// the standard library.
//
// # Parts
//
// [Broker] and [Handler] are the contract between a node and its broker.
// [Partitioned], [Interruptible], [CountingPublisher], [Historian] and
// [Membership] are optional abilities of a broker. [Memory] is the broker of a
// cluster of one process; package redisbroker has the broker for several.
// [RoomChannel], [NamespaceChannel], [NodeChannel] and [ClusterChannel] name
// channels. [Interest] subscribes a node to exactly the channels that its loops
// need. Package clustertest holds the contract as a test suite for brokers, and
// a broker that fails on purpose.
//
// # Guarantees
//
//	                   every broker                     Memory
//	delivery           an accepted message reaches      done when Publish
//	                   every node whose Subscribe       returns
//	                   had returned
//	order              one per channel, the same on     the order of the
//	                   all nodes; each node's messages  Publish calls
//	                   in the order of its publishes
//	order of channels  none                             none
//	repeats            none                             none
//	subscribed         when Subscribe returned nil      the same, at once
//	unsubscribed       when Unsubscribe returned nil    the same, at once
//	Publish            never blocks, copies             runs Deliver, which
//	                                                    must not block
//	congestion         Congested, then ErrQueueFull     has no queue; the
//	                                                    node's own queues decide
//	after Close        ErrClosed, no more deliveries    the same
//
// A [Historian] keeps the messages with [Envelope.Keep]:
//
//	                   every historian                  Memory
//	kept               before it is delivered, also     in the memory of the
//	                   without a subscriber             process, until Close
//	order              that of the channel, each        the same
//	                   message once
//	retention          each page keeps to it exactly    the same, and expired
//	                                                    messages are removed
//	a position         is found, or the page says that  is not found, either, if
//	                   messages may be missing          the stripe cannot tell
//
// # Interest
//
// A loop acquires a channel before it answers the first connect or join that
// needs the channel. It releases the channel after the last member has left. So
// a client whose join was answered receives everything published after that.
// The first loop's Acquire subscribes. The last loop's Release unsubscribes
// after one to two InterestConfig.UnsubscribeDelay, unless a loop acquires the
// channel again.
//
// One goroutine per partition makes the calls to the broker, one at a time and
// for many channels each. So the outcome of a channel is always that of the
// newest call.
//
// # Failures
//
// Memory fails only after Close. Other brokers fail, and Interest copes with
// it:
//
//   - Subscribe fails or times out. The waiting Acquires get the error, and no other
//     call does. The broker may be subscribed all the same: Interest unsubscribes
//     the channel later, or subscribes it again with the next Acquire.
//   - Unsubscribe fails. Interest retries it at most once per second and logs the
//     first failure. Until it succeeds, unwanted messages still arrive; Loops drops
//     them.
//   - The broker is slow. Later Acquires wait for the call in flight, for at most
//     InterestConfig.SubscribeTimeout, and then for their own. A broker over several
//     servers is Partitioned, and a server that hangs delays only its own channels.
//   - The broker loses its connection. The broker itself restores the subscriptions.
//     Until then an Interruptible broker is interrupted: each Acquire and Confirm
//     subscribes again and waits for the answer.
//
// Close the Interest before its broker.
//
// # Locks
//
// A broker's lock (a stripe of Memory) is taken before a stripe of Interest, as
// Deliver calls Loops; a stripe of Interest before the queue of its worker.
// Interest never calls the broker with a lock held. Deliver and Congested never
// call the broker.
package cluster
