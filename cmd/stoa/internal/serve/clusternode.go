package serve

import (
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/config"
	"github.com/stoa-io/stoa/node"
)

// clusterNode is the node as a member of its cluster.
type clusterNode struct {
	broker    *redisbroker.Broker
	advertise string // empty: the address of the listener
	host      string // name of this machine; empty if unknown
	version   string
	started   time.Time
	node      atomic.Pointer[node.Node] // nil until newServer sets it, because the node needs the broker
}

// newClusterNode returns nil outside of a cluster. It does not connect, so an
// error is a mistake in the configuration.
func newClusterNode(c *config.Config, logger *slog.Logger) (*clusterNode, error) {
	options, err := c.Redis()
	if err != nil || len(options.Servers) == 0 {
		return nil, err
	}
	self := &clusterNode{advertise: c.Cluster.Advertise, version: cli.ReadBuild().Version, started: time.Now()}
	// Without a name, reachable returns the bound address.
	self.host, _ = os.Hostname()
	options.Info, options.Logger = self.info, logger
	if self.broker, err = redisbroker.New(options); err != nil {
		return nil, err
	}
	return self, nil
}

// info returns what the node announces to its cluster every few seconds.
func (c *clusterNode) info() cluster.NodeInfo {
	info := cluster.NodeInfo{Address: c.advertise, Version: c.version, Started: c.started}
	self := c.node.Load()
	if self == nil {
		return info
	}
	info.Connections = self.Connections()
	if info.Address == "" {
		info.Address = reachable(self.Addr(), c.host)
	}
	return info
}

// reachable returns the bound address. An unspecified address means nothing on
// other machines, so the name of this machine replaces it.
func reachable(address net.Addr, host string) string {
	bound, ok := address.(*net.TCPAddr)
	switch {
	case address == nil:
		return ""
	case ok && bound.IP.IsUnspecified() && host != "":
		return net.JoinHostPort(host, strconv.Itoa(bound.Port))
	}
	return address.String()
}

// servers returns the addresses of the Redis servers.
func (c *clusterNode) servers() []string {
	stats := c.broker.Stats()
	addresses := make([]string, len(stats.Servers))
	for i := range stats.Servers {
		addresses[i] = stats.Servers[i].Server
	}
	return addresses
}
