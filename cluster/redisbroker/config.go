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
)

const (
	defaultClusterName   = "stoa"
	defaultQueueBytes    = 64 << 20
	defaultQueueAge      = 30 * time.Second
	defaultProbeInterval = time.Second
	defaultLease         = 8 * time.Second
	defaultDialTimeout   = 3 * time.Second
	defaultFlushWait     = 3 * time.Second
	defaultRetryMax      = time.Second
	randomNodeIDBytes    = 8
)

// Config is the configuration of a Redis broker. The zero value of every field
// but Servers is its default.
type Config struct {
	// Servers are the URLs of the Redis servers, at least one. Channels are spread
	// over them; every node must name the same ones, in the same spelling, in any
	// order.
	//
	//	redis://[user:password@]host[:6379][/db]
	//	rediss://...                              the same over TLS
	//	redis+sentinel://[user:password@]host1[:26379],host2/master[/db]
	//	rediss+sentinel://...                     TLS to Redis and to the Sentinels
	//
	// User and password of a Sentinel URL are those of Redis; the Sentinels' own are
	// the parameters sentinel_username and sentinel_password. Special characters are
	// percent-encoded. Other parameters are refused.
	Servers []string
	// Cluster is the name of the cluster: the prefix of its channels and keys, so
	// that several clusters can share a server. Letters, digits, "_", "." and "-";
	// "stoa" by default.
	Cluster string
	// NodeID is the ID of this node, unique in the cluster: letters, digits, "_",
	// "." and "-". Random by default.
	NodeID string
	// Info describes the node to the others; it is called every few seconds, from
	// any goroutine, and must not block. The ID is filled in. Nil: only the ID is
	// known.
	Info func() cluster.NodeInfo
	// QueueBytes bounds the messages that wait for one server, to be published or to
	// be acknowledged: beyond it Publish returns ErrQueueFull. The handler is told of
	// congestion at half of it, and of its end at a quarter. Each server has as much:
	// what waits for one takes nothing from the others. 64 MiB by default.
	QueueBytes int
	// QueueAge is how long a message may wait for its server before it is dropped;
	// 30 s by default.
	QueueAge time.Duration
	// ProbeInterval is how often a message makes the round trip through a server. A
	// subscription that is silent for nearly two intervals is taken for dead, as is a
	// server that does not answer for two. 1 s by default.
	ProbeInterval time.Duration
	// Lease is how long a node is known after its last sign of life; it gives one
	// three times per lease. 8 s by default.
	Lease time.Duration
	// DialTimeout bounds one attempt to connect; 3 s by default.
	DialTimeout time.Duration
	// FlushWait bounds how long the queue waits after an outage for the known nodes
	// to be subscribed again; 3 s by default.
	FlushWait time.Duration
	// RetryMax is the longest pause between two attempts to connect; the actual one
	// is a random part of it, a half at least. 1 s by default.
	RetryMax time.Duration
	// TLS is used for rediss URLs; nil: the system's roots and the URL's host name.
	// It is not changed.
	TLS *tls.Config
	// Logger receives when servers come and go. Nil discards it.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
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

// servers checks the configuration and returns its servers in the order of their
// identities, which is the same on all nodes.
func (c *Config) servers() ([]*endpoint, error) {
	var problems []error
	if !plainName(c.Cluster) {
		problems = append(problems, fmt.Errorf("cluster: cluster name %q: only letters, digits, \"_\", \".\" and \"-\"", c.Cluster))
	}
	if !plainName(c.NodeID) {
		problems = append(problems, fmt.Errorf("cluster: node ID %q: only letters, digits, \"_\", \".\" and \"-\"", c.NodeID))
	}
	if len(c.Servers) == 0 {
		problems = append(problems, errors.New("cluster: no Redis server given"))
	}
	var servers []*endpoint
	for i, text := range c.Servers {
		server, err := parseURL(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("cluster: Redis server %d: %w", i+1, err))
			continue
		}
		server.useTLS(c.TLS)
		if slices.ContainsFunc(servers, func(s *endpoint) bool { return s.identity == server.identity }) {
			problems = append(problems, fmt.Errorf("cluster: Redis server %d: %s is given twice", i+1, server.identity))
			continue
		}
		servers = append(servers, server)
	}
	slices.SortFunc(servers, func(a, b *endpoint) int { return strings.Compare(a.identity, b.identity) })
	return servers, errors.Join(problems...)
}

// plainName is true for names that need no escaping in a channel or key.
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
