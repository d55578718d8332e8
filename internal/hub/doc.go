// Package hub runs the message protocol on every event loop of a node. It
// connects the WebSockets with the rooms and the broker.
//
// A [Hub] is split into shards, one per event loop of package engine. A [Shard]
// owns the connections of its loop, each a [Client]: its session, which knows
// the rules of the protocol, and its place in namespaces and rooms. A client's
// message goes from the engine to the session, which calls back the Client;
// relayed messages go to the broker and return through [Hub.Handler] as one
// frame, which enters the inbox of every shard that has members.
//
// The hub does not know what an application does with messages: the [App]
// decides what becomes of an event, and is notified of everything that happens
// to a connection. A [Handle] is the application's hold on a connection; it is
// safe to use from any goroutine.
//
// # The shard's inbox
//
// Everything outside a loop reaches its shard through one ordered inbox
// (inbox.go): deliveries, confirmed subscriptions, requests of other nodes, and
// the application's tasks. Posting never blocks. Because drain and stop take
// the same way, no delivery that was accepted before a shutdown is lost behind
// a close frame.
//
// # Subscriptions
//
// A shard is subscribed to a channel while it has members there, or while a
// join is in progress (subscribe.go). A join is answered after the broker has
// confirmed the subscription, so a joined client receives everything published
// after the answer to its join.
//
// Fields are marked as in package engine: immutable, atomic, loop-owned, or
// guarded by a mutex.
package hub
