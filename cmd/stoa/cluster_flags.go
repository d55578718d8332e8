package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/cluster/redisbroker"
)

// The environment may say what flags say: flags stand in the list of processes,
// which everybody on the machine can read, and URLs hold passwords.
const (
	redisVariable       = "STOA_REDIS"
	redisCAVariable     = "STOA_REDIS_CA"
	clusterNameVariable = "STOA_CLUSTER_NAME"
)

const (
	redisFlag       = "redis"
	redisCAFlag     = "redis-ca"
	clusterNameFlag = "cluster-name"
	nodeIDFlag      = "node-id"
	advertiseFlag   = "advertise"
)

// clusterFlags say which cluster is meant.
type clusterFlags struct {
	set   *pflag.FlagSet
	redis []string
	ca    string
	name  string
}

func (f *clusterFlags) register(set *pflag.FlagSet) {
	f.set = set
	set.StringArrayVar(&f.redis, redisFlag, nil,
		"`URL` of a Redis server where the nodes of a cluster meet; repeatable; "+redisVariable+" if not given")
	set.StringVar(&f.ca, redisCAFlag, "",
		"PEM `file` of the authorities that may vouch for rediss servers, instead of the system's; "+redisCAVariable+" if not given")
	set.StringVar(&f.name, clusterNameFlag, "stoa",
		"`name` of the cluster, so that several can share a Redis server; "+clusterNameVariable+" if not given")
}

// clusterHelp explains the flags and the environment.
const clusterHelp = `The URLs of Redis servers are
  redis://[user:password@]host[:6379][/db]
  redis+sentinel://[user:password@]host1[:26379],host2/master[/db]
or the same with rediss for TLS. Rooms are spread over the servers that are named;
all nodes name the same ones.

Everybody on the machine can see arguments. URLs with passwords belong into the
environment: STOA_REDIS holds what --redis would, comma separated, STOA_REDIS_CA and
STOA_CLUSTER_NAME what --redis-ca and --cluster-name would. Flags win.`

// resolve returns what flags and environment say together. Without a server there
// is no cluster.
func (f *clusterFlags) resolve() (redisbroker.Config, error) {
	config := redisbroker.Config{Servers: f.redis, Cluster: f.name}
	if !f.set.Changed(redisFlag) {
		config.Servers = splitURLs(os.Getenv(redisVariable))
	}
	if name := os.Getenv(clusterNameVariable); name != "" && !f.set.Changed(clusterNameFlag) {
		config.Cluster = name
	}
	if config.Cluster == "" {
		return config, fmt.Errorf("--%s is empty: want a name", clusterNameFlag)
	}
	var err error
	config.TLS, err = f.resolveCA(config.Servers)
	return config, err
}

// resolveCA reads the file of authorities; nil if there is none. One that no server
// would be checked with is an error: whoever gave it believes to speak TLS.
func (f *clusterFlags) resolveCA(servers []string) (*tls.Config, error) {
	path, source := f.ca, "--"+redisCAFlag
	if !f.set.Changed(redisCAFlag) {
		path, source = os.Getenv(redisCAVariable), redisCAVariable
	}
	if path == "" {
		return nil, nil
	}
	if !slices.ContainsFunc(servers, func(url string) bool { return strings.HasPrefix(url, "rediss") }) {
		return nil, fmt.Errorf("%s: no server is reached over TLS; want a URL with rediss://", source)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s %q: no certificate in PEM form", source, path)
	}
	return &tls.Config{RootCAs: authorities}, nil
}

// splitURLs splits at the commas that a URL follows: the URL of a group of Sentinels
// has commas of its own.
func splitURLs(text string) []string {
	var urls []string
	for _, part := range strings.Split(text, ",") {
		trimmed := strings.TrimSpace(part)
		switch {
		case len(urls) > 0 && trimmed != "" && !strings.Contains(trimmed, "://"):
			urls[len(urls)-1] += "," + trimmed
		case trimmed != "":
			urls = append(urls, trimmed)
		}
	}
	return urls
}

// memberFlags say what the node is in its cluster.
type memberFlags struct {
	clusterFlags
	nodeID    string
	advertise string
}

func (f *memberFlags) register(set *pflag.FlagSet) {
	f.clusterFlags.register(set)
	set.StringVar(&f.nodeID, nodeIDFlag, "",
		"`ID` of the node, unique in its cluster, at most 32 letters, digits and _; random if not given")
	set.StringVar(&f.advertise, advertiseFlag, "",
		"`address` that \"stoa nodes\" shows for the node; the listen address if not given")
}

const maxAdvertise = 255

// parse checks what packages node and cluster do not check. A forgotten --redis
// would otherwise be noticed only when messages do not reach the other nodes.
func (f *memberFlags) parse() (redisbroker.Config, error) {
	config, err := f.resolve()
	errs := []error{err}
	for _, name := range []string{clusterNameFlag, advertiseFlag} {
		if f.set.Changed(name) && len(config.Servers) == 0 {
			errs = append(errs, fmt.Errorf("--%s: there is no cluster without --%s", name, redisFlag))
		}
	}
	if len(f.advertise) > maxAdvertise || strings.ContainsFunc(f.advertise, notPlain) {
		errs = append(errs, fmt.Errorf("--%s %q: want an address of at most %d bytes without spaces",
			advertiseFlag, f.advertise, maxAdvertise))
	}
	return config, errors.Join(errs...)
}

// notPlain is true for what would spoil a line or a column of text.
func notPlain(r rune) bool {
	return r == unicode.ReplacementChar || unicode.IsSpace(r) || !unicode.IsPrint(r)
}
