package main

import (
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/node"
)

// member is the node as the others of its cluster know it.
type member struct {
	broker    *redisbroker.Broker
	advertise string // empty: the address of the node's listener
	host      string // of this machine; empty if not known
	version   string
	started   time.Time
	node      atomic.Pointer[node.Node] // nil until the node is made, which needs the broker
}

// newMember returns nil for a node that is alone. Errors are the fault of the
// configuration: nothing is connected yet.
func newMember(flags *memberFlags, config redisbroker.Config, logger *slog.Logger) (*member, error) {
	if len(config.Servers) == 0 {
		return nil, nil
	}
	m := &member{advertise: flags.advertise, version: readBuild().version, started: time.Now()}
	// Without a name the address that was listened on has to do.
	m.host, _ = os.Hostname()
	config.NodeID, config.Info, config.Logger = flags.nodeID, m.info, logger
	var err error
	if m.broker, err = redisbroker.New(config); err != nil {
		return nil, err
	}
	return m, nil
}

// info is what the node tells the others every few seconds.
func (m *member) info() cluster.NodeInfo {
	info := cluster.NodeInfo{Address: m.advertise, Version: m.version, Started: m.started}
	self := m.node.Load()
	if self == nil {
		return info
	}
	info.Connections = self.Connections()
	if info.Address == "" {
		info.Address = reachable(self.Addr(), m.host)
	}
	return info
}

// reachable is the bound address; one that stands for every address of the machine
// means nothing elsewhere, so the machine's name takes its place.
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

// servers are the addresses of the cluster's servers.
func (m *member) servers() []string {
	stats := m.broker.Stats()
	addresses := make([]string, len(stats.Shards))
	for i := range stats.Shards {
		addresses[i] = stats.Shards[i].Server
	}
	return addresses
}
