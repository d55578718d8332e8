package config

import (
	"crypto/tls"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/certwatch"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// maxLoops is the maximum of package node.
const maxLoops = 64

// Node returns the configuration of the node. The caller adds the broker, the
// handler of other requests and the logger.
func (c *Config) Node() node.Config {
	proxies, _ := c.Proxies.networks() // Load has checked them
	config := node.Config{
		ID:           c.Cluster.NodeID,
		Loops:        c.Listen.Loops,
		Transport:    c.transport(),
		Endpoint:     c.Listen.Endpoint,
		AllowOrigins: c.Origins,
		AllowHosts:   c.allowHosts(),
		Subprotocols: c.Subprotocols,
		ProxyHeader:  c.Proxies.header(),
		Namespaces:   make(map[string]node.NamespaceOptions, len(c.Namespaces)),
		Limits:       c.Limits.node(),
		Timeouts:     c.Timeouts.node(),
		DrainDelay:   c.Drain.Delay,

		TrustedProxies: proxies,
		ProxyProtocol:  c.Proxies.Protocol,
	}
	config.AllowLogin = c.Auth.HasJWT() && c.Auth.JWT.AllowLogin
	if config.Loops == 0 {
		config.Loops = min(runtime.GOMAXPROCS(0), maxLoops)
	}
	config.Limits.DrainPerSecond = c.Drain.Rate
	for name, n := range c.Namespaces {
		config.Namespaces[name] = n.node(c.Auth.IsSet())
	}
	return config
}

func (c *Config) transport() node.Transport {
	for _, t := range []node.Transport{node.TransportEpoll, node.TransportBlocking} {
		if t.String() == c.Listen.Transport {
			return t
		}
	}
	return node.TransportAuto
}

// allowHosts returns the names that requests may be for. A page whose name
// leads to a loopback address must not reach a node that only this machine may
// reach.
func (c *Config) allowHosts() []string { return c.hosts(c.Exposed()) }

func (c *Config) hosts(exposed bool) []string {
	if exposed {
		return c.Hosts
	}
	return append([]string{"localhost"}, c.Hosts...)
}

// InternalHosts returns the names that requests to the internal port may be
// for; none means all.
func (c *Config) InternalHosts() []string { return c.hosts(c.InternalExposed()) }

// Demo reports whether the public port has the demo page.
func (c *Config) Demo() bool {
	return c.Listen.Demo == "on" || c.Listen.Demo == autoWord && c.Listen.Internal == ""
}

func (n *Namespace) node(authenticates bool) node.NamespaceOptions {
	options := node.NamespaceOptions{
		Access:         n.Access.node(authenticates),
		Rooms:          node.RoomNames(n.Rooms),
		MaxMessage:     n.MaxMessage,
		MembersPerRoom: max(n.MembersPerRoom, 0), // any number
	}
	for _, relay := range n.Relay {
		options.Relay |= map[string]node.Relay{
			"rooms": node.RelayRooms, "namespace": node.RelayNamespace, "asks": node.RelayAsks,
		}[relay]
	}
	if n.History.Messages > 0 {
		h := n.History
		options.History = node.HistoryOptions{
			Messages: h.Messages, Age: h.Age, Bytes: h.Bytes, OnJoin: h.OnJoin, DuplicateWindow: h.DuplicateWindow,
		}
		if h.LatestBy != "" {
			options.History.LatestBy, options.History.LatestKeys = h.LatestBy, h.LatestKeys
		}
	}
	options.Presence = map[string]node.Presence{"count": node.PresenceCount, "roster": node.PresenceRoster}[n.Presence]
	options.SlowConsumer = map[string]node.SlowConsumer{"drop": node.SlowDrop}[n.SlowConsumer]
	return options
}

// node returns the access. Where clients are authenticated, an action that no
// permission allows is denied by default.
func (a *NamespaceAccess) node(authenticates bool) node.Access {
	who := func(name string) node.Who {
		if name == autoWord {
			if authenticates {
				return node.WhoPermitted
			}
			return node.WhoAnyone
		}
		named, _ := node.ParseWho(name) // the choices of the key are the names
		return named
	}
	return node.Access{
		Connect: who(a.Connect), Join: who(a.Join), Emit: who(a.Emit), Ask: who(a.Ask), EmitNamespace: who(a.EmitNamespace),
		History: who(a.History), Presence: who(a.Presence),
	}
}

func (l *Limits) node() node.Limits {
	return node.Limits{
		Message:         l.Message,
		Names:           wire.Limits{Token: l.Names.Token, Namespace: l.Names.Namespace, Room: l.Names.Room, Event: l.Names.Event},
		Header:          l.Header,
		Namespaces:      l.Namespaces,
		Rooms:           l.Rooms,
		SendQueue:       l.SendQueue,
		ReceiveQueue:    l.ReceiveQueue,
		LoopQueue:       l.LoopQueue,
		InvalidPayloads: l.InvalidPayloads,
		Connections:     l.Connections,
		Asks:            l.Asks,
		AsksToClient:    l.AsksToClient,
		Authentications: l.Authentications,

		PendingHandshakes:  l.PendingHandshakes,
		QueueMemory:        l.QueueMemory,
		HistoryMemory:      l.HistoryMemory,
		ConnectionsPerUser: max(l.ConnectionsPerUser, 0), // any number
		UserOverflow:       map[string]node.UserOverflow{"refuse": node.UserOverflowRefuse}[l.UserOverflow],
		Handshakes:         l.Handshakes,
		AddressHandshakes:  l.AddressHandshakes,
		AddressConnections: max(l.AddressConnections, 0), // any number
		AddressPrefix:      l.AddressPrefix,
		Messages:           l.Messages,
		Bytes:              l.Bytes,
		UserMessages:       l.UserMessages,
		UserBytes:          l.UserBytes,
		OverRate:           map[string]node.OverRate{"close": node.OverRateClose}[l.OverRate],
		Joins:              l.Joins,
	}
}

func (t *Timeouts) node() node.Timeouts { return node.Timeouts(*t) }

// DrainTimeout is how long the whole shutdown may take, the delay included.
func (c *Config) DrainTimeout() time.Duration { return c.Drain.Delay + c.Drain.Timeout }

// LogLevel is the minimum level of the log.
func (c *Config) LogLevel() slog.Level {
	var level slog.Level
	// The choices of the key are the names of the levels.
	_ = level.UnmarshalText([]byte(c.Log.Level))
	return level
}

// Exposed reports whether other machines can reach the address. Only literal
// loopback addresses and "localhost" are safe, because other names may resolve
// differently later.
func (c *Config) Exposed() bool { return exposed(c.Listen.Address) }

// InternalExposed is Exposed for the internal port.
func (c *Config) InternalExposed() bool { return exposed(c.Listen.Internal) }

func exposed(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && !isLoopback(host)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// Redis returns the configuration of the broker, without servers outside of a
// cluster. It reads the CA certificates. The caller adds Info and the logger.
func (c *Config) Redis() (redisbroker.Config, error) {
	config := redisbroker.Config{
		Servers:       c.Cluster.Redis,
		Cluster:       c.Cluster.Name,
		NodeID:        c.Cluster.NodeID,
		QueueBytes:    c.Cluster.Queue,
		MaxMessage:    c.Cluster.MaxMessage,
		QueueAge:      c.Cluster.QueueAge,
		ProbeInterval: c.Cluster.ProbeInterval,
		Lease:         c.Cluster.Lease,
		DialTimeout:   c.Cluster.DialTimeout,
		FlushWait:     c.Cluster.FlushWait,
		RetryMax:      c.Cluster.RetryMax,
	}
	if c.Cluster.RedisCA == "" && c.Cluster.RedisCert == "" {
		return config, nil
	}
	config.TLS = &tls.Config{}
	if c.Cluster.RedisCert != "" {
		config.TLS.GetClientCertificate = c.redisCertificate
	}
	if c.Cluster.RedisCA != "" {
		var err error
		if config.TLS.RootCAs, err = certwatch.ReadAuthorities(c.Cluster.RedisCA); err != nil {
			return config, err
		}
	}
	return config, nil
}

// redisCertificate is for tls.Config.GetClientCertificate. It reads the files
// each time, so that a connection has the certificate of its day.
func (c *Config) redisCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.Cluster.RedisCert, c.Cluster.RedisKey)
	if err != nil {
		return nil, err
	}
	return &pair, nil
}

// FirstNamespace returns the namespace for pages that need one: "default" if it
// exists, else the first by name. Without namespaces it is "default", too.
func (c *Config) FirstNamespace() string {
	names := slices.Sorted(maps.Keys(c.Namespaces))
	if len(names) == 0 || slices.Contains(names, openNamespace) {
		return openNamespace
	}
	return names[0]
}
