package cli

import "github.com/spf13/pflag"

// The environment can replace these flags, because every user of the machine
// can see the arguments of a process, and URLs contain passwords.
const (
	RedisVariable       = "STOA_REDIS"
	RedisCAVariable     = "STOA_REDIS_CA"
	RedisCertVariable   = "STOA_REDIS_CERT"
	RedisKeyVariable    = "STOA_REDIS_KEY"
	ClusterNameVariable = "STOA_CLUSTER_NAME"
)

// The names of the flags that RegisterClusterFlags adds.
const (
	RedisFlag       = "redis"
	RedisCAFlag     = "redis-ca"
	RedisCertFlag   = "redis-cert"
	RedisKeyFlag    = "redis-key"
	ClusterNameFlag = "cluster-name"
)

// RegisterClusterFlags adds the flags that select a cluster. Package config
// reads them.
func RegisterClusterFlags(set *pflag.FlagSet) {
	set.StringArray(RedisFlag, nil,
		"`URL` of a Redis server of the cluster; repeatable; default: "+RedisVariable)
	set.String(RedisCAFlag, "",
		"PEM `file` with the CA certificates for rediss servers, in place of the system's; default: "+RedisCAVariable)
	set.String(RedisCertFlag, "",
		"PEM `file` with the certificate that is shown to rediss servers; default: "+RedisCertVariable)
	set.String(RedisKeyFlag, "",
		"PEM `file` with the private key of the certificate; default: "+RedisKeyVariable)
	set.String(ClusterNameFlag, "stoa",
		"`name` of the cluster; clusters with different names can share a Redis server; overrides "+ClusterNameVariable)
}

// ClusterHelp explains the flags and the environment.
const ClusterHelp = `The URL of a Redis server has one of these forms, with rediss for TLS:
  redis://[user:password@]host[:6379][/db]
  unix://[user:password@]/path/of/a/socket[?db=1]
  redis+sentinel://[user:password@]host1[:26379],host2/master[/db]
Rooms are spread over all servers. Every node must name the same servers.

Every user of the machine can see the arguments of a process, so put passwords
into the environment: STOA_REDIS (comma separated), STOA_REDIS_CA,
STOA_REDIS_CERT, STOA_REDIS_KEY and STOA_CLUSTER_NAME stand for --redis,
--redis-ca, --redis-cert, --redis-key and --cluster-name. Flags take precedence.`
