package redisbroker

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/connid"
)

const (
	defaultClusterName   = "stoa"
	defaultQueueBytes    = 64 << 20
	defaultQueueAge      = 30 * time.Second
	defaultMaxMessage    = 1 << 20
	defaultProbeInterval = time.Second
	defaultLease         = 8 * time.Second
	defaultDialTimeout   = 3 * time.Second
	defaultFlushWait     = 3 * time.Second
	defaultRetryMax      = time.Second
	randomNodeIDBytes    = 8
)

// Config is the configuration of a Broker. The zero value of every field but
// Servers is its default.
type Config struct {
	// Servers are the URLs of the Redis servers, at least one. Channels are
	// spread over them; every node must name the same servers, in the same
	// spelling, in any order.
	//
	//	redis://[user:password@]host[:6379][/db]
	//	rediss://...                              the same over TLS
	//	unix://[user:password@]/path[?db=1]       a socket of this machine
	//	redis+sentinel://[user:password@]host1[:26379],host2/master[/db]
	//	rediss+sentinel://...                     TLS to Redis and to the Sentinels
	//
	// User and password of a Sentinel URL are for Redis. Those for the
	// Sentinels are the parameters sentinel_username and sentinel_password.
	// Special characters are percent-encoded. Other parameters are rejected.
	Servers []string
	// Cluster is the name of the cluster. It is the prefix of all channels and
	// keys, so that several clusters can share a server. It may contain
	// letters, digits, "_", "." and "-". The default is "stoa".
	Cluster string
	// NodeID is the ID of this node, unique in the cluster. It has at most
	// 64 letters, digits, "_", "." and "-". The default is a random ID.
	NodeID string
	// Info describes the node to the other nodes. It is called every few
	// seconds, from any goroutine, and must not block. The broker fills in the
	// ID. If Info is nil, the other nodes know only the ID.
	Info func() cluster.NodeInfo
	// QueueBytes bounds the messages that wait for one server, to be published
	// or to be acknowledged; beyond it Publish returns ErrQueueFull. Congestion
	// starts at half of it and ends at a quarter. Every server has its own
	// queue of this size. The default is 64 MiB.
	QueueBytes int
	// MaxMessage is the size in bytes of the largest message between nodes,
	// with about a hundred bytes that the broker adds. Publish returns
	// ErrTooLarge for a larger one; a larger one that arrives is dropped. All
	// nodes should have the same limit. The default is 1 MiB.
	MaxMessage int
	// QueueAge is how long a message may wait for its server before it is
	// dropped. The default is 30 s.
	QueueAge time.Duration
	// ProbeInterval is the interval between messages that make the round trip
	// through a server. A subscription that is silent for nearly two intervals
	// counts as dead, and so does a server that does not answer for two. The
	// default is 1 s.
	ProbeInterval time.Duration
	// Lease is how long a node is known after its last sign of life. A node
	// sends three per lease. The default is 8 s.
	Lease time.Duration
	// DialTimeout bounds one attempt to connect. The default is 3 s.
	DialTimeout time.Duration
	// FlushWait bounds how long the queue waits, after an outage, for the known
	// nodes to be subscribed again. The default is 3 s.
	FlushWait time.Duration
	// RetryMax is the longest pause between two attempts to connect. The actual
	// pause is random, at least half of that. The default is 1 s.
	RetryMax time.Duration
	// TLS is the configuration for rediss URLs, which is not changed. If it is
	// nil, the broker uses the system's roots and the host name of the URL.
	TLS *tls.Config
	// Logger receives lost and restored connections. Nil discards them.
	Logger *slog.Logger
}

// WithDefaults returns the configuration that New would use: a copy in which
// every zero is replaced by its default.
func (c Config) WithDefaults() Config {
	if c.Cluster == "" {
		c.Cluster = defaultClusterName
	}
	if c.NodeID == "" {
		c.NodeID = strings.ToLower(rand.Text()[:randomNodeIDBytes])
	}
	if c.Info == nil {
		c.Info = func() cluster.NodeInfo { return cluster.NodeInfo{} }
	}
	if c.QueueBytes <= 0 {
		c.QueueBytes = defaultQueueBytes
	}
	if c.MaxMessage <= 0 {
		c.MaxMessage = defaultMaxMessage
	}
	for _, field := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&c.QueueAge, defaultQueueAge},
		{&c.ProbeInterval, defaultProbeInterval},
		{&c.Lease, defaultLease},
		{&c.DialTimeout, defaultDialTimeout},
		{&c.FlushWait, defaultFlushWait},
		{&c.RetryMax, defaultRetryMax},
	} {
		if *field.value <= 0 {
			*field.value = field.standard
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// servers checks the configuration and returns its servers in the order of
// their identities, which is the same on all nodes.
func (c *Config) servers() ([]*endpoint, error) {
	var problems []error
	if !plainName(c.Cluster) {
		problems = append(problems, fmt.Errorf("redisbroker: cluster name %q: only letters, digits, \"_\", \".\" and \"-\"", c.Cluster))
	}
	if !connid.ValidNodeID(c.NodeID) {
		problems = append(problems, fmt.Errorf("redisbroker: node ID %q: %s", c.NodeID, connid.NodeIDRule))
	}
	if len(c.Servers) == 0 {
		problems = append(problems, errors.New("redisbroker: no Redis server given"))
	}
	var servers []*endpoint
	for i, text := range c.Servers {
		server, err := parseURL(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("redisbroker: Redis server %d: %w", i+1, err))
			continue
		}
		server.useTLS(c.TLS)
		if slices.ContainsFunc(servers, func(s *endpoint) bool { return s.identity == server.identity }) {
			problems = append(problems, fmt.Errorf("redisbroker: Redis server %d: %s is given twice", i+1, server.identity))
			continue
		}
		servers = append(servers, server)
	}
	slices.SortFunc(servers, func(a, b *endpoint) int { return strings.Compare(a.identity, b.identity) })
	return servers, errors.Join(problems...)
}

// plainName returns true for names that need no escaping in a channel or key.
func plainName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return name != ""
}
