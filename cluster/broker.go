package cluster

import (
	"context"
	"time"
)

// Handler is the node's side of a broker.
type Handler interface {
	// Deliver hands over one message of a channel that this node is subscribed to.
	//
	// The broker makes one call at a time per channel, in the channel's order;
	// calls for different channels may run in parallel. Deliver must not block
	// (short locks are fine: whoever waits behind it may be the reader of a whole
	// cluster connection, or a publishing loop) and must not call the broker.
	// env and its payload are valid during the call only.
	Deliver(channel string, env *Envelope)

	// Congested says with true that the publish queue of a partition is above its
	// high-water mark, with false that it is below the low one. In between the node
	// stops reading the connections that have published to the partition. Brokers
	// that are not Partitioned have one, 0. For each partition calls alternate,
	// beginning with true; they come from any goroutine, one at a time. Calls for
	// different partitions may run in parallel. None may block or call the broker.
	Congested(partition int, congested bool)
}

// Broker carries messages between the nodes of a cluster.
//
// Delivery: a message that Publish accepted is delivered on every node, the
// publishing one included, whose Subscribe for the channel had returned nil
// before Publish was called and which has not begun to unsubscribe. What a broker
// does when its server fails is part of its own documentation.
//
// Order: all nodes see the messages of a channel in one order, in which each
// node's messages keep the order of its Publish calls. Nothing is said about the
// order of messages in different channels.
//
// Duplicates: a message is delivered at most once per node, however often a
// channel was subscribed.
//
// Concurrency: all methods are safe for concurrent use. Subscribe and Unsubscribe
// calls that name the same channel must not overlap, though: the outcome would
// be either's. [Interest] sees to that for the loops of a node.
//
// Channel names are arbitrary strings; see RoomChannel. Brokers keep them.
//
// An implementation is right if it passes cluster/clustertest.
type Broker interface {
	// Start makes the broker ready for the other calls; deliveries go to h from
	// now on. ctx bounds the call, not the broker's life. It is called once: again
	// it returns ErrStarted, after Close ErrClosed. An error leaves the broker
	// unusable but for Close.
	Start(ctx context.Context, h Handler) error

	// Publish sends env to the channel's subscribers. It never blocks, as event
	// loops call it, and so takes no context. nil means accepted: see Delivery
	// above. The caller may reuse env and its payload as soon as it returns. It may
	// call Deliver on the caller's goroutine. It must not be called from Deliver.
	// ErrQueueFull: not accepted because the publisher ignored Congested for too
	// long. ErrNotStarted before Start, ErrClosed after Close.
	Publish(channel string, env *Envelope) error

	// Subscribe makes this node receive the channels' messages. It blocks until
	// that is confirmed: whatever is published anywhere after it returned nil is
	// delivered. Subscribing again is allowed and changes nothing. An error (that
	// of ctx if it ended first) leaves open which of the channels are subscribed:
	// the caller subscribes or unsubscribes them again. ErrNotStarted before
	// Start, ErrClosed after Close. The slice is not kept, the strings may be.
	Subscribe(ctx context.Context, channels ...string) error

	// Unsubscribe ends the subscriptions. It may block. Once it returned nil,
	// Deliver is not called for the channels any more. A channel that is not
	// subscribed is no error. Errors and slice as with Subscribe.
	Unsubscribe(ctx context.Context, channels ...string) error

	// Ready returns nil if a message published now would make its way: for a
	// broker with a server, if a round trip through it and back works. It blocks
	// until that is known or ctx ends. ErrNotStarted before Start, ErrClosed after
	// Close. It is meant for readiness probes, not for the way of a message.
	Ready(ctx context.Context) error

	// Close ends everything; once it returned, the handler is not called any more.
	// It waits until ctx ends for accepted messages to leave, then gives them up
	// and returns the error of ctx. Closing again returns nil, closing before Start
	// is fine. It must not be called from the handler.
	Close(ctx context.Context) error
}

// Partitioned is implemented by brokers over several independent servers. Interest
// subscribes to the channels of each partition separately, and Handler.Congested
// names the partition, so that a server that does not answer delays only what
// depends on it.
type Partitioned interface {
	// Partitions is the number of partitions, at least 1; it never changes.
	Partitions() int
	// Partition returns the channel's partition, 0 to Partitions-1, always the
	// same for a channel. It does not block and is safe for concurrent use.
	Partition(channel string) int
}

// CountingPublisher is implemented by brokers that can tell how far a message went.
type CountingPublisher interface {
	// PublishCount is Publish that reports its outcome: done is called exactly once
	// with the number of nodes that were subscribed when the message passed, or with
	// the error that Publish would have returned or that ended the message later
	// (ErrExpired, ErrClosed). It may be called before PublishCount returns, on any
	// goroutine, and must neither block nor call the broker. Where a message was sent
	// again after an outage, the count is that of the last time.
	PublishCount(channel string, env *Envelope, done func(nodes int, err error))
}

// Membership is implemented by brokers that know the nodes of the cluster.
type Membership interface {
	// Nodes returns what is known of the nodes that are alive, this one included,
	// in the order of their IDs. It does not block; the slice is the caller's.
	Nodes() []NodeInfo
}

// MembershipHandler is implemented by handlers that want to know when nodes go. Brokers
// with Membership call it.
type MembershipHandler interface {
	// NodeGone says that a node other than this one has left the cluster, or has
	// given no sign of life for its lease, or that another process has taken its ID:
	// whatever was asked of it is not answered any more. A node that was only cut off
	// may come back. While this node is cut off itself nobody is said to be gone.
	// Calls come from any goroutine, also in parallel, and again for the same node.
	// They must neither block nor call the broker.
	NodeGone(id string)
}

// NodeInfo is what a node says about itself.
type NodeInfo struct {
	// ID is unique in the cluster.
	ID string `json:"id"`
	// Address is where the node listens, for people to read.
	Address string `json:"address,omitempty"`
	// Version of the program.
	Version string `json:"version,omitempty"`
	// Connections is the number of clients at the time of the announcement, a few
	// seconds old at most.
	Connections int `json:"connections"`
	// Started is when the node started, by its own clock.
	Started time.Time `json:"started,omitzero"`
}

// syncSubscriber is implemented by brokers that subscribe without waiting for anybody.
type syncSubscriber interface {
	// SubscribeNow subscribes like Subscribe, but never blocks; false if it is not
	// possible (any more).
	SubscribeNow(channel string) bool
}
