// Package cluster carries messages between the nodes of a cluster.
//
// A node publishes what a client emits into a room on the room's channel, and
// delivers what comes in on the channels that it is subscribed to. It does so for
// its own messages too: a message takes the same way to the publishing node as to
// the others, so that all see one order. The package knows neither sockets nor
// rooms nor the protocol; an [Envelope] holds the bytes that receivers are sent,
// and nothing looks into them. It imports the standard library only.
//
// # Parts
//
// [Broker] and [Handler] are the contract. [Memory] is the broker of a cluster of
// one process. [RoomChannel] and [NamespaceChannel] name channels. [Interest]
// subscribes a node to exactly the channels that its loops want. Package
// clustertest holds the contract as tests that every broker passes, and a broker
// with faults.
//
// # What is guaranteed
//
//	                     every broker                         Memory
//	delivery             every message that Publish accepted  the same; done when
//	                     reaches every node whose Subscribe   Publish returns
//	                     had returned, while the broker's
//	                     server is well
//	order                one per channel, the same on all     the order of Publish
//	                     nodes; each node's messages as       calls
//	                     published
//	order of channels    none                                 none promised
//	repeats              none                                 none
//	subscribed           when Subscribe returned nil          the same, at once
//	unsubscribed         when Unsubscribe returned nil        the same, at once
//	Publish              never blocks, copies                 runs Deliver, which
//	                                                          must not block
//	too many publishes   Congested, then ErrQueueFull         there is no queue: the
//	                                                          node's inboxes decide
//	after Close          ErrClosed, no more deliveries        the same
//
// # Interest
//
// A loop acquires a channel before it answers the first connect or join that needs
// it and releases it after the last one has left, so who was told that he joined
// receives everything published from then on. The first loop's Acquire subscribes.
// The last loop's Release unsubscribes, one to two lingers later and unless the
// channel was acquired again. One goroutine per server makes the calls one after
// the other, many channels at a time; so the newest wish always wins, whenever
// answers come.
//
// # When things fail
//
// Memory cannot fail, except by Close. Interest takes brokers for granted that do:
//
//   - Subscribe fails or times out: the Acquires that wait for it get the error,
//     nobody else does. As the broker may be subscribed all the same, the channel
//     is unsubscribed if nobody wants it a linger later, or subscribed again by
//     the next Acquire.
//   - Unsubscribe fails: it is tried again every second at most, and logged once.
//     Until it works messages arrive that nobody wants, and are dropped by Loops.
//   - The broker is slow: later Acquires wait for the call under way, for at most
//     InterestConfig.SubscribeTimeout, and then for their own. A broker over
//     several servers is Partitioned, and one that hangs delays its own channels.
//   - The broker loses its connection: subscribing again what was subscribed is
//     the broker's own business; Interest does not notice.
//
// Interest is closed before its broker.
//
// # Locks
//
// A broker's lock (the stripe of Memory) is taken before the shard of Interest, as
// Deliver calls Loops; a shard before the queue of its worker. Interest never
// calls the broker with a lock held. Deliver and Congested never call the broker.
package cluster
