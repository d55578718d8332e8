package node

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/memlimit"
	"github.com/stoa-io/stoa/internal/origin"
	"github.com/stoa-io/stoa/internal/peeraddr"
)

// Transport is how a node's own listeners serve their connections.
type Transport uint8

// The transports. The zero value, TransportAuto, is epoll where the system has
// it and blocking I/O elsewhere.
const (
	TransportAuto Transport = iota
	TransportEpoll
	// TransportBlocking serves each connection by one or two goroutines.
	TransportBlocking
)

// String returns the transport as one lower-case word.
func (t Transport) String() string {
	switch t {
	case TransportAuto:
		return "auto"
	case TransportEpoll:
		return "epoll"
	case TransportBlocking:
		return "blocking"
	}
	return "unknown"
}

// Config is the configuration of a node. The zero value of every field is a
// usable default; where a limit may be switched off, a negative value does so.
type Config struct {
	// ID names the node in its cluster; empty chooses a random one. At most 64
	// bytes of [A-Za-z0-9_.-], so a host name will do.
	ID string
	// Loops is the number of event loops, at most 64. Zero means one for each
	// processor that Go may use (GOMAXPROCS). More loops than processors do not
	// help.
	Loops int
	// Transport of the node's own listeners.
	Transport Transport

	// Endpoint is the path of the WebSocket endpoint; empty means "/ws". "*"
	// accepts an upgrade on every path.
	Endpoint string
	// HTTP serves all requests that are not for the endpoint, over connections
	// of the node's listeners. Nil answers 404.
	HTTP http.Handler
	// AllowOrigins names the origins whose pages may connect in addition to the
	// page's own host: "https://chat.example.com"; "https://*.example.com" for
	// all subdomains, at any depth, but not the domain itself;
	// "capacitor://localhost" or "file://" for apps; "null" for pages without
	// an origin; "*" for all. A default port (80, 443) may be there or not.
	// Where the node has TLS, only pages over https are those of its own host.
	// A request without an Origin header does not come from a browser and is
	// not checked.
	AllowOrigins []string
	// AllowHosts names the hosts ("chat.example.com"), without ports, that
	// requests may be for in addition to loopback names and addresses; others
	// are answered with 421. "*" allows every host, and so does an empty list.
	// A node that only this machine can reach needs it against web pages whose
	// name leads to a loopback address: []string{"localhost"}. It holds for
	// WebSockets, and on the node's own listener for Config.HTTP, except for
	// the paths /healthz and /readyz: load balancers name an address there, and
	// a page gains nothing.
	AllowHosts []string

	// TrustedProxies are the networks of the proxies in front of the node, such
	// as 10.0.0.0/8. Their word about the address of a client is believed: it
	// is then that of Accept.Request.RemoteAddr, Conn.RemoteAddr, the log and
	// the limits of addresses. A peer over a Unix socket is trusted if any
	// network is. Empty trusts no proxy.
	TrustedProxies []netip.Prefix
	// ProxyHeader is the field in which trusted proxies name their clients. The
	// proxies must append to it, or replace it, in every request; another field
	// is ignored, as a client may have sent it.
	ProxyHeader ProxyHeader
	// ProxyProtocol means that every connection to the node's own listener
	// begins with a header of the PROXY protocol, version 1 or 2, also in front
	// of TLS, and comes from TrustedProxies. Others are closed and counted. The
	// ProxyHeader of such a connection is read if it names a trusted proxy, or
	// no client: set ProxyHeaderNone unless an HTTP proxy is in front of that
	// one.
	ProxyProtocol bool

	// Subprotocols are those of Sec-WebSocket-Protocol that the node speaks, in
	// order of preference. It selects the first that a client offers; an accept
	// handler can select another. They change nothing else.
	Subprotocols []string

	// Namespaces are declared by New, under their names. Node.LookupNamespace
	// returns them, to register handlers; Node.Namespace declares more.
	Namespaces map[string]NamespaceOptions
	// AllowLogin lets a client that is not authenticated hand in a token over
	// its open connection, and so log in; see Node.OnAuthenticate. Without it,
	// only connections with a user can.
	AllowLogin bool
	// NativeOnly switches the protocol off: there is no hello, no namespace and
	// no room, and every message goes unchanged to the handler of
	// Node.OnNative. It is for clients that are plain WebSockets.
	NativeOnly bool
	// Broker carries messages between nodes. The node starts it, and Shutdown
	// closes it. Nil means a memory broker.
	Broker cluster.Broker

	Limits   Limits
	Timeouts Timeouts
	// DrainDelay is how long Shutdown keeps the node accepting and serving
	// connections, while Ready fails already, so that load balancers notice
	// before connections are refused. Zero and negative values mean no delay.
	DrainDelay time.Duration

	// Logger receives what an operator should know. Nil discards it.
	Logger *slog.Logger
}

// Timeouts of a connection. Zero means the default; negative switches the
// timeout off. A sweep checks them, so they are late by up to an eighth of the
// shortest, or a second.
type Timeouts struct {
	// Handshake: from accept to the client's hello ("M"); 10 s by default.
	Handshake time.Duration
	// Ping is sent after this long without traffic from the peer, jittered by a
	// tenth; 25 s by default.
	Ping time.Duration
	// Pong: how long the peer may send nothing at all after a ping; 20 s by
	// default.
	Pong time.Duration
	// Write: how long the socket may take nothing while frames are queued; 10 s
	// by default.
	Write time.Duration
	// Close: how long the peer may take to answer a close frame; 3 s by
	// default. Negative does not wait for the answer.
	Close time.Duration
	// Message: how long a message may take from its first byte to its last; 30
	// s by default.
	Message time.Duration
	// Join: how long a join or connect may wait for the broker, once it is its
	// turn; 5 s by default. It cannot be switched off.
	Join time.Duration
	// Ask: how long an ask without a deadline of its own waits for an answer,
	// above all one that is relayed between clients; 30 s by default. It cannot
	// be switched off.
	Ask time.Duration
	// ExpiryNotice is how long before the end of its identity
	// (access.Identity.Expires) a client that can hand in a new token receives
	// notice; 30 s by default, but at most half of the identity's life. To
	// spread the work it is sent up to a quarter of this time, or a minute,
	// earlier. Negative: it is not sent.
	ExpiryNotice time.Duration
	// PresenceInterval is the shortest time between two changes of the members
	// of a room that a client is shown, and PresenceGrace the time after which
	// it is shown that a member has left: one that is back by then has not. The
	// defaults are 1 s and 2 s; a negative value means none.
	PresenceInterval, PresenceGrace time.Duration
	// OverRate: how long a connection may exceed its rates before it is closed,
	// with OverRateClose; 10 s by default. It cannot be switched off.
	OverRate time.Duration
}

// WithDefaults returns the configuration that New would use: a copy in which
// every zero is replaced by its default.
func (c Config) WithDefaults() Config {
	if c.ID == "" {
		c.ID = connid.NewNodeID()
	}
	if c.Loops == 0 {
		c.Loops = defaultLoops()
	}
	if c.Endpoint == "" {
		c.Endpoint = "/ws"
	}
	if c.HTTP == nil {
		c.HTTP = http.NotFoundHandler()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Limits = c.Limits.withDefaults()
	setDefault(&c.Limits.Connections, engine.DefaultConnections(c.Loops))
	setDefault(&c.Limits.PendingHandshakes, engine.DefaultPendingHandshakes())
	setDefault(&c.Limits.QueueMemory, defaultQueueMemory())
	setDefault(&c.Limits.HistoryMemory, defaultHistoryMemory)
	c.Timeouts = c.Timeouts.withDefaults()
	return c
}

func (t Timeouts) withDefaults() Timeouts {
	setDefault(&t.Handshake, 10*time.Second)
	setDefault(&t.Ping, 25*time.Second)
	setDefault(&t.Pong, 20*time.Second)
	setDefault(&t.Write, 10*time.Second)
	setDefault(&t.Close, 3*time.Second)
	setDefault(&t.Message, 30*time.Second)
	setDefault(&t.Join, 5*time.Second)
	setDefault(&t.ExpiryNotice, 30*time.Second)
	setDefault(&t.PresenceInterval, time.Second)
	setDefault(&t.PresenceGrace, 2*time.Second)
	if t.Ask <= 0 {
		t.Ask = 30 * time.Second
	}
	if t.OverRate <= 0 {
		t.OverRate = 10 * time.Second
	}
	return t
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

func defaultLoops() int { return min(runtime.NumCPU(), runtime.GOMAXPROCS(0), engine.MaxLoops) }

// Validate reports every field that New would refuse, in one error (see
// errors.Join). It opens nothing and starts nothing.
func (c Config) Validate() error {
	c = c.WithDefaults()
	return c.validate()
}

// defaultQueueMemory is a quarter of the memory, as the garbage collector may
// need as much as the queues do, and the rest of the process its share.
func defaultQueueMemory() int {
	total := memlimit.Total()
	if total == 0 {
		total = 4 << 30
	}
	return int(min(total/4, math.MaxInt))
}

// validate reports every field that cannot be used, in one error.
func (c *Config) validate() error {
	var errs []error
	if !connid.ValidNodeID(c.ID) {
		errs = append(errs, fmt.Errorf("node: ID %q: %s", c.ID, connid.NodeIDRule))
	}
	if c.Loops < 1 || c.Loops > engine.MaxLoops {
		errs = append(errs, fmt.Errorf("node: Loops %d: want 1 to %d", c.Loops, engine.MaxLoops))
	}
	if c.Transport > TransportBlocking {
		errs = append(errs, fmt.Errorf("node: Transport %d is unknown", c.Transport))
	}
	if c.Transport == TransportEpoll && !hasEpoll() {
		errs = append(errs, errors.New("node: Transport epoll: this system has no epoll"))
	}
	if c.Limits.UserOverflow > UserOverflowRefuse {
		errs = append(errs, fmt.Errorf("node: Limits.UserOverflow %d is unknown", c.Limits.UserOverflow))
	}
	if c.ProxyHeader > ProxyHeaderNone {
		errs = append(errs, fmt.Errorf("node: ProxyHeader %d is unknown", c.ProxyHeader))
	}
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		errs = append(errs, errors.New("node: ProxyProtocol needs TrustedProxies: no connection would be accepted"))
	}
	if c.Endpoint != "*" && !strings.HasPrefix(c.Endpoint, "/") {
		errs = append(errs, fmt.Errorf("node: Endpoint %q: want a path that starts with /, or *", c.Endpoint))
	}
	if _, err := c.allowed(); err != nil {
		errs = append(errs, err)
	}
	for _, protocol := range c.Subprotocols {
		if !engine.IsToken(protocol) {
			errs = append(errs, fmt.Errorf("node: Subprotocols %q: want a token of RFC 9110, such as chat.v1", protocol))
		}
	}
	errs = append(errs, c.Limits.check()...)
	for name, options := range c.Namespaces {
		errs = append(errs, options.validate(name, &c.Limits)...)
	}
	return errors.Join(errs...)
}

// ProxyHeader is the field of a request in which a proxy names its client.
//
// The client is the last address in it that is not in Config.TrustedProxies.
// If a proxy conceals it (unknown, or an identifier such as _x), or if the
// field is malformed, which is counted, the client's address is that of the
// proxy.
type ProxyHeader uint8

// The fields. The zero value is X-Forwarded-For.
const (
	ProxyHeaderXForwardedFor ProxyHeader = iota
	// ProxyHeaderForwarded is the field Forwarded of RFC 7239.
	ProxyHeaderForwarded
	// ProxyHeaderNone ignores both: the clients' addresses are those of the
	// PROXY protocol.
	ProxyHeaderNone
)

// String returns the name of the field in lower case, or "none".
func (h ProxyHeader) String() string {
	switch h {
	case ProxyHeaderXForwardedFor, ProxyHeaderForwarded:
		return strings.ToLower(peeraddr.Field(h).Name())
	case ProxyHeaderNone:
		return "none"
	}
	return "unknown"
}

// healthPaths are those of package ops.
var healthPaths = []string{"/healthz", "/readyz"}

// allowed parses the origins, hosts and proxies. The error names all that
// cannot be used.
func (c *Config) allowed() (a engine.Allowed, err error) {
	var errs []error
	for _, pattern := range c.AllowOrigins {
		if _, err := origin.Parse([]string{pattern}); err != nil {
			errs = append(errs, fmt.Errorf("node: AllowOrigins %w", err))
		}
	}
	for _, host := range c.AllowHosts {
		if _, err := origin.ParseHosts([]string{host}); err != nil {
			errs = append(errs, fmt.Errorf("node: AllowHosts %w", err))
		}
	}
	if a.Proxies, err = peeraddr.NewNetworks(c.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("node: TrustedProxies: %w", err))
	}
	if a.Origins, err = origin.Parse(c.AllowOrigins); err == nil {
		a.Hosts, err = origin.ParseHosts(c.AllowHosts)
	}
	if len(errs) > 0 {
		err = errors.Join(errs...)
	}
	return a, err
}
