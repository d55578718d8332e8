package cluster

import (
	"context"
	"time"
)

// Handler is the node's side of a broker.
type Handler interface {
	// Deliver hands over one message of a channel that this node subscribes to.
	//
	// The broker makes one call at a time per channel, in the channel's order;
	// calls for different channels may run in parallel. Deliver must not block
	// and must not call the broker. Short locks are fine. Behind a blocked
	// call, the reader of a whole cluster connection or a publishing loop would
	// stop. env and its payload are valid only during the call.
	Deliver(channel string, env *Envelope)

	// Congested reports that the publish queue of a partition has passed its
	// high-water mark (true), or has fallen below its low-water mark (false).
	// In between, the node does not read the connections that have published to
	// the partition. A broker that is not Partitioned has only partition 0.
	//
	// For each partition the calls alternate, beginning with true. They come
	// from any goroutine, one at a time; calls for different partitions may run
	// in parallel. No call may block or call the broker.
	Congested(partition int, congested bool)
}

// Broker carries messages between the nodes of a cluster.
//
// Delivery: an accepted message is delivered on every node that is subscribed,
// the publishing node included. A node is subscribed from the moment when its
// Subscribe has returned nil until it begins to unsubscribe. Each broker
// documents the effects of a failed server.
//
// Order: all nodes see the messages of a channel in one order. In it, each
// node's messages keep the order of its Publish calls. Messages in different
// channels have no order.
//
// Duplicates: a message is delivered at most once per node, however often a
// channel was subscribed.
//
// Concurrency: all methods are safe for concurrent use. Subscribe and
// Unsubscribe calls that name the same channel must not overlap: the outcome
// could be that of either. [Interest] serializes them for the loops of a node.
//
// Channel names are arbitrary strings; see RoomChannel. Brokers retain them.
//
// An implementation is correct if it passes cluster/clustertest.
type Broker interface {
	// Start makes the broker ready for the other calls and delivers to h from
	// now on. ctx bounds the call, not the life of the broker. A second call
	// returns ErrStarted, a call after Close returns ErrClosed. After an error,
	// only Close may follow.
	Start(ctx context.Context, h Handler) error

	// Publish sends env to the channel's subscribers. It never blocks, because
	// event loops call it, so it takes no context. A nil error means that the
	// message is accepted: see Delivery above. The caller may reuse env and its
	// payload after the return.
	//
	// A volatile message does not wait: the error is ErrQueueFull as soon as
	// many bytes are queued before it, or no connection would take it. So
	// volatile messages alone never cause congestion.
	//
	// Publish may call Deliver on the caller's goroutine, and must not be
	// called from Deliver. It returns ErrQueueFull if the publisher has ignored
	// Congested for too long, ErrTooLarge if the broker has a limit that the
	// message exceeds, ErrNotStarted before Start, and ErrClosed after Close.
	Publish(channel string, env *Envelope) error

	// Subscribe makes this node receive the messages of the channels. It blocks
	// until the subscriptions are confirmed: a message that any node publishes
	// after the return of nil is delivered. To subscribe again is allowed and
	// changes nothing.
	//
	// After an error, which is that of ctx if ctx ended first, each of the
	// channels may be subscribed or not: the caller subscribes or unsubscribes
	// them again. Subscribe returns ErrNotStarted before Start and ErrClosed
	// after Close. It does not retain the slice, but may retain the strings.
	Subscribe(ctx context.Context, channels ...string) error

	// Unsubscribe ends the subscriptions. It may block. Once it has returned
	// nil, Deliver is no longer called for the channels. It ignores channels
	// that are not subscribed. Errors and slice are as with Subscribe.
	Unsubscribe(ctx context.Context, channels ...string) error

	// Ready returns nil if a message published now would arrive. For a broker
	// with a server, a message makes the round trip through the server. Ready
	// blocks until the outcome is known or ctx ends. It returns ErrNotStarted
	// before Start and ErrClosed after Close. It is for readiness probes, not
	// for the path of a message.
	Ready(ctx context.Context) error

	// Close ends all work of the broker; after its return, the handler is no
	// longer called. It waits until ctx ends for accepted messages to leave,
	// then drops them and returns the error of ctx. A second Close returns nil,
	// and Close before Start is allowed. The handler must not call Close.
	Close(ctx context.Context) error
}

// Partitioned is implemented by brokers over several independent servers.
// Interest subscribes to the channels of each partition separately, and
// Handler.Congested names the partition, so that a server that does not answer
// delays only its own channels.
type Partitioned interface {
	// Partitions is the number of partitions, at least 1; it never changes.
	Partitions() int
	// Partition returns the partition of a channel, 0 to Partitions-1, always
	// the same for a channel. It does not block and is safe for concurrent use.
	Partition(channel string) int
}

// Interruptible is implemented by brokers whose subscriptions can be
// interrupted, above all by the loss of a connection.
type Interruptible interface {
	// Interrupted returns true while messages of a partition may not arrive,
	// although Subscribe has returned nil for their channels, also if the
	// broker only lacks a recent sign that they do. A Subscribe that is called
	// in the meantime returns nil when they arrive, or arrive again.
	// Interrupted does not block and is safe for concurrent use. A broker that
	// is not Partitioned has only partition 0.
	Interrupted(partition int) bool
}

// CountingPublisher is implemented by brokers that can count the nodes that a
// message reaches.
type CountingPublisher interface {
	// PublishCount is like Publish, but reports the outcome. It calls done
	// exactly once: with the number of nodes that were subscribed when the
	// message passed, or with the error that Publish would have returned, or
	// with the error that ended the message later (ErrExpired, ErrClosed). The
	// call may come before PublishCount returns, on any goroutine; done must
	// neither block nor call the broker. If the broker sent a message again
	// after an outage, the count is that of the last time.
	PublishCount(channel string, env *Envelope, done func(nodes int, err error))
}

// Membership is implemented by brokers that know the nodes of the cluster.
type Membership interface {
	// Nodes returns the nodes that are alive, this one included, in the order
	// of their IDs. It does not block; the slice belongs to the caller.
	Nodes() []NodeInfo
}

// MembershipHandler is implemented by handlers that need to know when nodes
// leave. Brokers with Membership call it.
type MembershipHandler interface {
	// NodeGone reports that a node other than this one has left the cluster,
	// that it has sent no sign of life for its lease, or that another process
	// has taken its ID. The node will not answer pending requests. A node that
	// was only cut off may come back. While this node is cut off itself, the
	// broker reports no node as gone.
	//
	// The calls come from any goroutine, also in parallel, and repeatedly for
	// one node. They must neither block nor call the broker.
	NodeGone(id string)
}

// NodeInfo describes a node to the other nodes and to operators.
type NodeInfo struct {
	// ID is unique in the cluster.
	ID string `json:"id"`
	// Address is where the node listens, for people to read.
	Address string `json:"address,omitempty"`
	// Version of the application.
	Version string `json:"version,omitempty"`
	// Connections is the number of clients at the time of the last
	// announcement, which is at most a few seconds old.
	Connections int `json:"connections"`
	// Started is when the node started, by its own clock.
	Started time.Time `json:"started,omitzero"`
}

// syncSubscriber is implemented by brokers that subscribe without waiting for a
// server.
type syncSubscriber interface {
	// SubscribeNow is like Subscribe, but never blocks. It returns false before
	// Start and after Close.
	SubscribeNow(channel string) bool
}
