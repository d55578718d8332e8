// Package redisbroker is the broker of nodes that meet on Redis servers.
//
// [New] makes a [Broker], which implements cluster.Broker and the optional
// interfaces of package cluster. [ListNodes] reads the nodes of a cluster
// without joining it. The package imports only cluster and the go-redis client.
//
// # Connections
//
// A node has two connections to every server, for any number of channels: a
// publisher, which also maintains the node's entry in the registry, and a
// subscriber. Channels and keys begin with the cluster's name and a colon. The
// broker never subscribes to a pattern. The first read of a history opens a
// third connection, for reads only.
//
// A channel belongs to one server, chosen by rendezvous hashing. The channel of
// a node and the channel of the cluster exist on every server.
//
// # Guarantees
//
// While its servers are healthy the broker guarantees what every broker does:
//
//	delivery      as the contract says, over the server of the channel
//	order         the order in which the server executes the publishes
//	subscribed    when the server has confirmed the subscription
//	unsubscribed  when the server has confirmed the end of the subscription
//	Publish       appends a copy to the queue of the channel's server
//	congestion    starts at half of Config.QueueBytes and ends at a quarter;
//	              at all of it Publish returns ErrQueueFull; each server has its
//	              own queue
//
// # Publishing
//
// The publisher sends the queue as transactions of up to 512 messages, one at a
// time: were two on their way, a node that subscribes between them could
// receive a repetition of the first after the second. Over a long round trip a
// transaction takes more of the messages that have gathered: another 512 for
// each 100 ms, up to 2,048. A message stays in the queue until the server has
// acknowledged it. The publisher sends a transaction again if the connection
// broke, or if the answer took so long that a node may have lost its
// subscription in the meantime: half a ProbeInterval more than the usual round
// trip, which all time-outs add.
//
// After an interruption the publisher first ends its previous connection at the
// server. Then it calls all known nodes on the cluster's channel, to which a
// node subscribes last, and waits for their answers, for at most
// Config.FlushWait. The server's count of subscriptions would not do: it
// includes those of nodes that have lost the connection without its knowledge.
//
// Messages are numbered per node, life of the node, and server. A receiver
// remembers which of the last 4,096 numbers it has seen and drops repeats. A
// transaction reaches a node wholly or not at all, so a repetition brings every
// node the messages that it lacks, in order.
//
// An acknowledgement says that the server has executed a transaction. It does
// not say that the server has written the messages to all subscribers: if the
// server dies in between, some of them lack the messages. Therefore each
// publisher keeps the messages that were acknowledged last, in addition to the
// queue and not counted in QueueBytes: up to 3,584 messages of up to 1 MiB,
// acknowledged within two ProbeIntervals, and always the last transaction. With
// the transaction on its way they are at most 4,096. If
// the next connection is to another Redis process, the publisher sends them
// again first. It knows this by the run ID in the answer to INFO, which changes
// with a restart or a failover. If the process is the same, the publisher drops
// them: a node that was cut off would otherwise receive them after later
// messages, in another order than the other nodes.
//
// # Histories
//
// The broker is a cluster.Historian. A message with Keep is stored in the
// stream of its channel by the transaction that publishes it, just before. So
// the history has the order of the channel, and each delivered message. Redis
// trims the stream to at least the number of messages in the retention, and
// drops it when nothing was stored for the retention's age and up to an eighth
// more. It does not know the limit of bytes: a stream takes up to Messages
// times the size of a message. Pages keep to all three limits exactly. Ages are
// by the clock of Redis.
//
// A transaction that is sent again puts repeats into the stream, marked as
// such; readers leave them out. They count as messages when Redis trims. The
// channels of nodes and of the cluster have no history.
//
// A message with a key (cluster.Envelope.Key) is also stored by a script, in
// the same transaction, as the newest of its key: package keyed describes it. A
// page takes all of them with its first request, in a transaction, so that they
// are the newest of the same moment.
//
// A page is read in requests of about 256 KiB, from the newest message on. All
// reads of a node from a server share one connection, request by request, and
// delay no message.
//
//	a page says Found     only if
//	for a message         its entry is there and within the retention, no failure to
//	                      store a message followed it, and none that was sent again to
//	                      another process of Redis, unless it was there before. Before a
//	                      message, also if a failure left a gap there.
//	for a start position  Redis is the same process and has evicted no key since, nothing
//	                      was removed since, and no limit of the retention can have
//	                      excluded a message since: it is younger than Age, and the
//	                      stream has an older entry or fewer than Messages. It needs the
//	                      right to INFO.
//
// All nodes need the same retention for a channel, or a start position may miss
// that a node with lower limits has trimmed more. The same holds if the clock
// of Redis is set back by more than an eighth of the age, or if another program
// deletes the keys.
//
//	the server            what happens to histories
//	restarts empty        They are lost, and no position from before is found. Kept
//	                      messages that publishers send again begin new ones.
//	restarts with AOF     They are kept. While Redis reads them, the messages of a node
//	                      wait if one of them is to be stored, for up to half of QueueAge.
//	                      The tail that Redis had not written is stored again, if its
//	                      publishers live: see above. Messages of a publisher that has
//	                      died, too, are missing in between, and no page says so.
//	fails over            The same; the tail has the messages that were not replicated.
//	refuses all entries   As without memory or rights. Messages are delivered without being
//	                      stored, and counted. No position is found while that lasts, nor
//	                      later one from before its end: the publisher has notified all
//	                      nodes, and stores the time of the end under the key hg.
//	                      Stats, Warnings and the log report it. The broker tries again
//	                      every 5 s.
//	refuses an entry      As with a key of another type. The same, for that channel.
//	evicts keys           Use a policy of noeviction. An evicted history is empty.
//
// If a publisher dies while its server refuses entries, nodes that start later
// do not know of the gap.
//
// # Messages that are published once
//
// The broker is a cluster.OncePublisher. Such a message takes its place in the
// queue. A script stores and publishes it in the transaction of the others,
// unless its ID is known, and stores the ID in a key that expires with the
// window. The server executes all of the script or nothing.
//
//	what happens          the message
//	a reply is lost       The publisher sends the script again. It finds the message's
//	                      own ID, and only publishes again, for nodes that have lost
//	                      their subscription. The others drop the repeat.
//	a copy                It is not published. The publisher never sends it again.
//	the server loses      The publisher sends the acknowledged messages of the last
//	data                  moment again, as all kept ones. Older ones are lost, and so are
//	                      their IDs: a copy is published. The server loses none if it has
//	                      appendfsync always and no other takes its place.
//	refused               It leaves the queue without being published, its outcome has
//	                      the error, and the others are not affected. Stats count it, and
//	                      Warnings and the log report it.
//	READONLY, MASTERDOWN, It waits in the queue, and with it those after it, for up to
//	BUSY, LOADING         QueueAge; after LOADING for half of that.
//
// While the server refuses transactions, the script is sent alone. While it
// refuses to store the other messages of histories, these are tried all the
// same: each has its own outcome.
//
// # When a server fails
//
//	the server            what happens
//	dies and restarts     No message is lost or repeated, and each publisher's order is
//	empty                 kept. Publishes wait for up to QueueAge; Subscribe waits for
//	                      its context. A subscriber that lagged further behind a
//	                      publisher than the kept messages reach misses the rest. So
//	                      does a subscriber if the publisher dies too, or may not call
//	                      INFO. MissedAtMost counts the first. If two publishers had
//	                      messages in flight or kept, nodes of which only some had
//	                      received them may see the two in different orders. A node
//	                      that subscribes to a channel after the restart may receive
//	                      kept messages.
//	stalls                The same, and no message is lost: subscriptions last as long
//	                      as their connections.
//	fails over            As when it dies. Messages that the old master accepted while it
//	                      was cut off from the Sentinels and from other nodes, but not
//	                      from the publisher, reach only the nodes still connected to it.
//	is one of several     Only its channels are affected: every server has its own queue
//	                      and its own congestion signal. Messages to nodes take another
//	                      server.
//
//	one node              what happens
//	is cut off            It queues its publishes and is not ready. It sends the messages
//	                      in flight again, and receives them itself at that later place.
//	                      If its connections end, it does not receive what the other
//	                      nodes publish in the meantime; [ServerStats] counts the gap and
//	                      bounds the number of messages. Until its subscriptions are
//	                      restored, Interrupted returns true, and Subscribe waits, also
//	                      for channels that it has.
//	dies                  The other nodes forget it within a lease and a quarter of a
//	                      probe's interval. Its keys expire, and its subscriptions end
//	                      with its connections. The first flush after an outage may wait
//	                      FlushWait for it.
//
// The broker does not drop a silent subscriber connection at once: if the
// server or the network only stalls, that would lose the messages on their way.
// When the server answers on another connection while this one stays silent,
// that other one becomes a reserve. It subscribes to the same channels and
// holds the messages. Once it is ready, the silent connection has as long again
// as it has been silent, but at most ten ProbeIntervals, and only while the
// reserve holds less than a quarter of Config.QueueBytes, to show a sign of
// life; then it goes on, and the reserve is closed. Otherwise the reserve
// replaces it and delivers the held messages: only those from before it was
// ready can be missing. In the meantime the server counts the node twice, also
// for PublishCount. A handler that takes long is not silence of the server.
//
// # Messages of other programs
//
// A process that can publish in the cluster's channels can send messages in the
// name of every node. The broker bounds the harm. Memory grows with received
// bytes only, and a message above Config.MaxMessage is skipped. One wrong
// number hides no later message of its node.
//
// # A server that refuses
//
// A server that answers with an error works, but not for this node. On a new
// connection the publisher executes each of its commands once, without effect.
// A refusal ends the connection with the reason, and the pauses between
// attempts grow until the server has accepted a message, or confirmed the
// subscriptions. Messages wait in the queue.
//
// Three refusals do not end a connection. After a refused transaction the
// publisher sends messages one at a time for a while. A refused entry in the
// registry is a warning ([Broker.Warnings]): the nodes know each other by their
// announcements. An error in reply to a PING is a sign of life.
//
// The server must be a master and not in cluster mode. Both connections check
// it when they open, and the keeper checks the role every ProbeInterval. After
// a demotion both connections end. The kept messages bridge the interval.
//
// # Rights
//
// A restricted user of the server needs the channels and keys that begin with
// the cluster's name and a colon, or for a database other than 0 with the name,
// a slash, the number and a colon. It needs these commands: PUBLISH, SUBSCRIBE,
// UNSUBSCRIBE, PUBSUB NUMSUB, PING, MULTI, EXEC, and for the registry SET,
// MGET, DEL, SADD, SREM, SMEMBERS and PEXPIRE. INFO, ROLE, and CLIENT ID,
// SETNAME, LIST and KILL are optional. Histories need XADD, XREVRANGE, XRANGE,
// XLEN, XDEL, XTRIM, PEXPIRE and TIME. Messages that are published once need
// EVAL and GET, and in the script also SET, XADD, XDEL, PEXPIRE, PUBLISH and
// DEL. Messages with keys need EVAL, GET, HGET, HMGET, HSET, HDEL, HINCRBY,
// HLEN, HKEYS, HGETALL, ZADD, ZREM, ZPOPMIN and ZCARD.
//
// # Goroutines
//
// Each server has a publisher, a subscriber, and a keeper, which watches the
// two and announces the node; with Sentinels also one that watches for a new
// master. Each connection of the subscriber has a reader and a writer. When it
// falls silent, the keeper starts two goroutines that look for a successor.
// Each call for a history has one. Close waits for all of them.
//
// # Locks
//
// The lock of a server's subscriptions is taken before that of the session that
// sends their commands. The lock of the messages that a reserve holds is taken
// before all others: they are delivered under it. The broker holds the lock of
// a server's congestion signal, or the lock of the inbox, while it calls the
// handler, and otherwise no lock.
package redisbroker
