// Package cluster carries messages between the nodes of a cluster.
//
// A node publishes what a client emits into a room on the room's channel, and
// delivers what comes in on the channels that it is subscribed to. It does so for
// its own messages too: a message takes the same way to the publishing node as to
// the others, so that all see one order. The package knows neither sockets nor
// rooms nor the protocol; an [Envelope] holds the bytes that receivers are sent,
// and nothing looks into them.
//
// # Parts
//
// [Broker] and [Handler] are the contract, [Reached] and [Membership] what some
// brokers can do besides. [Memory] is the broker of a cluster of one process,
// [Redis] that of nodes which meet on Redis servers. [RoomChannel],
// [NamespaceChannel], [NodeChannel] and [ClusterChannel] name channels. [Interest]
// subscribes a node to exactly the channels that its loops want. Package
// clustertest holds the contract as tests that every broker passes, and a broker
// with faults.
//
// # What is guaranteed
//
//	                   every broker                     Memory                 Redis, while its servers are well
//	delivery           every message that Publish       done when Publish      the same
//	                   accepted reaches every node      returns
//	                   whose Subscribe had returned
//	order              one per channel, the same on     the order of Publish   the order in which the server
//	                   all nodes; each node's messages  calls                  executes
//	                   as published
//	order of channels  none                             none promised          none
//	repeats            none                             none                   none
//	subscribed         when Subscribe returned nil      the same, at once      when the server has confirmed
//	unsubscribed       when Unsubscribe returned nil    the same, at once      when the server has confirmed
//	Publish            never blocks, copies             runs Deliver, which    queues
//	                                                    must not block
//	too many           Congested, then ErrQueueFull     there is no queue: the at half of QueueBytes, at all of it,
//	publishes                                           node's inboxes decide for each server
//	after Close        ErrClosed, no more deliveries    the same               the same
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
// # Redis
//
// A node has two connections to every server: a publisher, which also keeps the
// node's entry in the registry, and a subscriber. Channels and keys begin with the
// cluster's name; channels are never patterns.
//
// The publisher sends what waits as one transaction after the other, each of up to
// 512 messages. A message stays in the queue until the server has acknowledged it,
// and a transaction is sent again if the connection broke, or if the answer took so
// long that a node may have lost its subscription meanwhile. Before anything is sent
// after an interruption, the connection before is ended at the server, and the
// publisher waits until as many nodes are on the cluster's channel as are known: each
// subscribes to it last. It waits for FlushWait at most. Messages are numbered per
// node, life of the node, and server; a receiver remembers which of the last 4,096
// numbers it has seen and drops repeats. As a transaction reaches a node wholly or
// not at all, a repetition brings every node what it lacks, in order.
//
// An acknowledgement says that the server has executed a transaction, not that it has
// written the messages to all subscribers: if it dies in between, some lack them. So
// each publisher keeps what was acknowledged last, beside the queue and not counted in
// QueueBytes: up to 3,584 messages of up to 1 MiB, acknowledged within two
// ProbeIntervals, and the last transaction in any case. If its next connection is to
// another Redis (the run ID that INFO tells has changed: it was started again, or
// failed over), this is sent again first. If it is the same one nothing of it is: who
// was cut off meanwhile and lacks it would see it behind later messages, at another
// place than the others, who have it.
//
//	the server            what happens
//	dies, comes back      Nothing is lost or repeated, and each publisher's order is
//	empty                 kept. Publishes wait for QueueAge; Subscribe waits for its
//	                      context. A subscriber that lagged so far behind that it
//	                      lacks more of a publisher's messages than are kept misses
//	                      the rest; so it does if the publisher dies too, or may not
//	                      ask for INFO. The first is part of MissedAtMost. Two
//	                      publishers' messages that were under way or are kept may be
//	                      seen in different orders by nodes of which only some had
//	                      received them before. A node that subscribes to a channel
//	                      when the server is back may receive what is kept.
//	stands still          The same, and nothing is lost: subscriptions are kept as long
//	                      as their connections live.
//	fails over            As when it dies. What the old master accepted while it was cut
//	                      off from the Sentinels and from other nodes, but not from the
//	                      publisher, reaches whom it reaches.
//	one of several        Its channels are affected, the others are not: it has a queue
//	                      of its own, and congestion is a signal for each server.
//	                      Messages for nodes go through another one.
//
//	one node              what happens
//	is cut off            It keeps what it publishes and is not ready. What was under
//	                      way is sent again, and comes to this node at that place.
//	                      What the others publish meanwhile does not come:
//	                      RedisShardStats counts the gap and a bound of the number of
//	                      messages.
//	dies                  It is forgotten within a lease and a quarter of a probe's
//	                      interval; its keys expire, its subscriptions end with its
//	                      connections. The first flush after an outage may wait
//	                      FlushWait for it.
//
// A subscriber connection that is silent is not given up at once: that would lose
// what is on its way if the server only stands still. It is given up when the server
// answers on another connection and this one is silent all the same.
//
// A user of the server with restricted rights needs the channels and keys that begin
// with the cluster's name and a colon, and the commands PUBLISH, SUBSCRIBE,
// UNSUBSCRIBE, PUBSUB NUMSUB, PING, INFO, MULTI, EXEC, SET, MGET, DEL, SADD, SREM, SMEMBERS,
// PEXPIRE, CLIENT ID, SETNAME, LIST and KILL, and with Sentinels ROLE.
//
// # Locks
//
// A broker's lock (the stripe of Memory) is taken before the shard of Interest, as
// Deliver calls Loops; a shard before the queue of its worker. Interest never
// calls the broker with a lock held. Deliver and Congested never call the broker.
//
// In Redis, a server's subscriptions are locked before the session that sends their
// commands; the lock of a server's congestion signal and that of the inbox are held while the
// handler is called, and no other is.
package cluster
