package engine

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/stoa-io/stoa/internal/addresses"
	"github.com/stoa-io/stoa/internal/bucket"
	"github.com/stoa-io/stoa/internal/closecode"
	"github.com/stoa-io/stoa/internal/netpoll"
	"github.com/stoa-io/stoa/internal/origin"
	"github.com/stoa-io/stoa/internal/peeraddr"
)

// MaxLoops is how many event loops a server may have.
const MaxLoops = 64

// Config is the configuration of a server. Required: Loops, NewShard, Base and
// Logger; the zero value of every other field is usable.
type Config struct {
	// Loops is the number of event loops, 1 to MaxLoops.
	Loops int
	// Blocking serves the server's own listeners by goroutines, also on systems
	// with epoll.
	Blocking bool
	// Endpoint is the path of the WebSocket endpoint; "*" accepts an upgrade on
	// every path.
	Endpoint string
	// HTTP serves all requests that are not for the endpoint. Nil answers 404.
	HTTP http.Handler
	// Allowed is what the server allows until SetAllowed.
	Allowed Allowed
	// ProxyField is the field in which Allowed.Proxies name their clients.
	ProxyField peeraddr.Field
	// ProxyProtocol means that every connection of the server's own listener
	// begins with a header of the PROXY protocol, and comes from
	// Allowed.Proxies.
	ProxyProtocol bool
	// AnyHost are the paths of HTTP that are served for every host.
	AnyHost []string

	// Subprotocols are those that the server speaks, in order of preference.
	// Without an Upgrader the first one that a client offers is selected.
	Subprotocols []string

	Limits   Limits
	Timeouts Timeouts

	// Limited returns the answer to a client whose address is above a limit.
	// Required with Limits.Addresses; safe for concurrent use.
	Limited func(r *LimitedRequest) Decision
	// NewShard returns the owner of the connections of one loop. New calls it
	// once per loop.
	NewShard func(*Loop) Shard
	// Base is the parent of every loop's Context.
	Base context.Context
	// Failed is called once, on a goroutine of its own, when a loop cannot go
	// on.
	Failed func(error)
	// Logger receives what an operator should know.
	Logger *slog.Logger

	// SlowCode, PingCode and RateCode are the close codes for a peer that takes
	// no bytes for Timeouts.Write, for one that does not answer a ping, and for
	// one that exceeds a rate for too long; 1008 by default.
	SlowCode, PingCode, RateCode uint16
}

// Allowed says which web pages may connect, and which proxies are believed.
type Allowed struct {
	// Origins are those whose pages may connect in addition to the page's own
	// host.
	Origins origin.List
	// Hosts are those that requests may be for.
	Hosts origin.Hosts
	// Proxies may name the clients of their connections.
	Proxies peeraddr.Networks
}

// Limits bounds what one peer may cost. Zero and negative values mean no limit.
type Limits struct {
	// Header is the size of an HTTP request head in bytes.
	Header int
	// Message is the size of a message, all fragments together, in bytes.
	Message int
	// SendQueue is the size of the send queue of a connection in bytes,
	// overhead included. Beyond it Handler.Slow is called.
	SendQueue int
	// Connections is how many open WebSockets the server holds.
	Connections int
	// QueueMemory is the size in bytes, overhead included, of the queues of all
	// connections and loops together; see package membudget. When they exceed
	// it, the connection with the largest send queue is closed.
	QueueMemory int
	// PendingHandshakes is how many accepted connections may be without a whole
	// request. Beyond it the oldest is closed. Each loop has an equal share.
	PendingHandshakes int
	// DrainPerSecond is how many connections Shutdown closes per second.
	DrainPerSecond int
	// Rates bounds what a connection may send, in frames and in bytes with
	// their headers. Above a rate it is not read. Close frames do not count.
	Rates bucket.Limits
	// Addresses bounds the network addresses of clients.
	Addresses addresses.Limits
}

// Timeouts of a connection; zero or negative switches a timeout off. A sweep
// checks them, so they are late by up to an eighth of the shortest, or a
// second.
type Timeouts struct {
	// Handshake: from accept to the end of the handshake. The deadline stays
	// set when the connection opens; see Conn.SetDeadline.
	Handshake time.Duration
	// Ping is sent after this long without traffic from the peer.
	Ping time.Duration
	// Pong: how long the peer may send nothing at all after a ping.
	Pong time.Duration
	// Write: how long the socket may take nothing while the send queue is not
	// empty.
	Write time.Duration
	// Close: how long the peer may take to answer a close frame.
	Close time.Duration
	// Message: how long a message may take from its first byte to its last.
	Message time.Duration
}

func (c Config) withDefaults() Config {
	if c.HTTP == nil {
		c.HTTP = http.NotFoundHandler()
	}
	if c.SlowCode == 0 {
		c.SlowCode = closecode.Policy
	}
	if c.PingCode == 0 {
		c.PingCode = closecode.Policy
	}
	if c.RateCode == 0 {
		c.RateCode = closecode.Policy
	}
	return c
}

const (
	// reservedDescriptors are those of a process that are not for WebSockets:
	// listeners, the links of a broker, files, and connections that a full
	// server answers, such as health checks and refused clients.
	reservedDescriptors = 64
	// loopDescriptors are those of one loop: its poller and its listener.
	loopDescriptors = 4
	// spareDescriptors are those that no accepted connection takes. A process
	// without a free one could not open its broker links again.
	spareDescriptors = 24
)

// DefaultConnections returns how many WebSockets the descriptors of this
// process allow a server with this number of loops; 0 if they are unlimited.
func DefaultConnections(loops int) int {
	limit := netpoll.DescriptorLimit()
	if limit == 0 {
		return 0
	}
	return max(1, limit-min(reservedDescriptors+loopDescriptors*loops, limit/2))
}

// DefaultPendingHandshakes is how many connections without a request the
// descriptors of this process allow; 0 if they are unlimited.
func DefaultPendingHandshakes() int {
	if limit := netpoll.DescriptorLimit(); limit > 0 {
		return max(1, limit/4)
	}
	return 0
}

// times are the server's timeouts in the loop's unit, milliseconds; 0 is off.
type times struct {
	handshake, ping, pong, write, close, message uint32

	sweep time.Duration // a whole round over all connections
}

func newTimes(t Timeouts) times {
	shortest := time.Second * 8
	unit := func(d time.Duration) uint32 {
		if d <= 0 {
			return 0
		}
		shortest = min(shortest, d)
		return uint32(max(1, d.Milliseconds()))
	}
	out := times{
		handshake: unit(t.Handshake), ping: unit(t.Ping), pong: unit(t.Pong),
		write: unit(t.Write), close: unit(t.Close), message: unit(t.Message),
	}
	out.sweep = max(shortest/8, 8*time.Millisecond)
	return out
}
