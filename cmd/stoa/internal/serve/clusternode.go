package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/node"
)

const (
	nodeIDFlag    = "node-id"
	advertiseFlag = "advertise"
)

// maxAdvertise bounds the advertised address, in bytes.
const maxAdvertise = 255

// clusterNodeFlags describe the node to its cluster.
type clusterNodeFlags struct {
	cli.ClusterFlags
	set       *pflag.FlagSet
	nodeID    string
	advertise string
}

func (f *clusterNodeFlags) register(set *pflag.FlagSet) {
	f.set = set
	f.Register(set)
	set.StringVar(&f.nodeID, nodeIDFlag, "",
		"`ID` of the node, unique in its cluster, at most 64 letters, digits, _, . and -; default: random")
	set.StringVar(&f.advertise, advertiseFlag, "",
		"`address` of the node in \"stoa nodes\"; default: the listen address")
}

// parse checks the flags that packages node and cluster do not check. With a
// forgotten --redis, messages would silently not reach the other nodes.
func (f *clusterNodeFlags) parse() (redisbroker.Config, error) {
	config, err := f.Resolve()
	errs := []error{err}
	for _, name := range []string{cli.ClusterNameFlag, advertiseFlag} {
		if f.set.Changed(name) && len(config.Servers) == 0 {
			errs = append(errs, fmt.Errorf("--%s needs a cluster: add --%s", name, cli.RedisFlag))
		}
	}
	if len(f.advertise) > maxAdvertise || strings.ContainsFunc(f.advertise, cli.NotPlain) {
		errs = append(errs, fmt.Errorf("--%s %q: want an address of at most %d bytes without spaces",
			advertiseFlag, f.advertise, maxAdvertise))
	}
	return config, errors.Join(errs...)
}

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
func newClusterNode(flags *clusterNodeFlags, config redisbroker.Config, logger *slog.Logger) (*clusterNode, error) {
	if len(config.Servers) == 0 {
		return nil, nil
	}
	c := &clusterNode{advertise: flags.advertise, version: cli.ReadBuild().Version, started: time.Now()}
	// Without a name, reachable returns the bound address.
	c.host, _ = os.Hostname()
	config.NodeID, config.Info, config.Logger = flags.nodeID, c.info, logger
	var err error
	if c.broker, err = redisbroker.New(config); err != nil {
		return nil, err
	}
	return c, nil
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
