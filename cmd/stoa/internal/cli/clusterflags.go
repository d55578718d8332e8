package cli

import (
	"crypto/tls"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/certwatch"
)

// The environment can replace these flags, because every user of the machine
// can see the arguments of a process, and URLs contain passwords.
const (
	RedisVariable       = "STOA_REDIS"
	RedisCAVariable     = "STOA_REDIS_CA"
	ClusterNameVariable = "STOA_CLUSTER_NAME"
)

// The names of the flags that ClusterFlags registers.
const (
	RedisFlag       = "redis"
	RedisCAFlag     = "redis-ca"
	ClusterNameFlag = "cluster-name"
)

// ClusterFlags select a cluster.
type ClusterFlags struct {
	set   *pflag.FlagSet
	redis []string
	ca    string
	name  string
}

// Register adds the flags to a set.
func (f *ClusterFlags) Register(set *pflag.FlagSet) {
	f.set = set
	set.StringArrayVar(&f.redis, RedisFlag, nil,
		"`URL` of a Redis server of the cluster; repeatable; default: "+RedisVariable)
	set.StringVar(&f.ca, RedisCAFlag, "",
		"PEM `file` with the CA certificates for rediss servers, in place of the system's; default: "+RedisCAVariable)
	set.StringVar(&f.name, ClusterNameFlag, "stoa",
		"`name` of the cluster; clusters with different names can share a Redis server; overrides "+ClusterNameVariable)
}

// ClusterHelp explains the flags and the environment.
const ClusterHelp = `The URL of a Redis server has one of these forms, with rediss for TLS:
  redis://[user:password@]host[:6379][/db]
  redis+sentinel://[user:password@]host1[:26379],host2/master[/db]
Rooms are spread over all servers. Every node must name the same servers.

Every user of the machine can see the arguments of a process, so put passwords
into the environment: STOA_REDIS (comma separated), STOA_REDIS_CA and
STOA_CLUSTER_NAME stand for --redis, --redis-ca and --cluster-name. Flags take
precedence.`

// Resolve combines flags and environment. Without servers there is no cluster.
func (f *ClusterFlags) Resolve() (redisbroker.Config, error) {
	config := redisbroker.Config{Servers: f.redis, Cluster: f.name}
	if !f.set.Changed(RedisFlag) {
		config.Servers = redisbroker.SplitServers(os.Getenv(RedisVariable))
	}
	if name := os.Getenv(ClusterNameVariable); name != "" && !f.set.Changed(ClusterNameFlag) {
		config.Cluster = name
	}
	if config.Cluster == "" {
		return config, fmt.Errorf("--%s is empty: want a name", ClusterNameFlag)
	}
	var err error
	config.TLS, err = f.resolveCA(config.Servers)
	return config, err
}

// resolveCA reads the CA certificates; nil stands for the system's. A file that
// no server uses is an error, because its owner expects TLS.
func (f *ClusterFlags) resolveCA(servers []string) (*tls.Config, error) {
	path, source := f.ca, "--"+RedisCAFlag
	if !f.set.Changed(RedisCAFlag) {
		path, source = os.Getenv(RedisCAVariable), RedisCAVariable
	}
	if path == "" {
		return nil, nil
	}
	if !slices.ContainsFunc(servers, func(url string) bool { return strings.HasPrefix(url, "rediss") }) {
		return nil, fmt.Errorf("%s: no server uses TLS; want a URL with rediss://", source)
	}
	authorities, err := certwatch.ReadAuthorities(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return &tls.Config{RootCAs: authorities}, nil
}
