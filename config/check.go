package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"unicode"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/certwatch"
)

// maxAdvertise bounds the advertised address, in bytes.
const maxAdvertise = 255

// brokerOverhead is what the broker may add to a message between nodes.
const brokerOverhead = 128

// check reports the mistakes of a configuration whose values are fine each on
// its own.
func (c *Config) check() Errors {
	var all Errors
	for _, rule := range []func(*Config) Errors{
		(*Config).checkListen, (*Config).checkTLS, (*Config).checkProxies, (*Config).checkCluster, (*Config).checkSizes,
		(*Config).checkNames, (*Config).checkHistory, (*Config).checkAuth,
	} {
		all = append(all, rule(c)...)
	}
	return append(all, c.checkNode(all)...)
}

// mistake is an error about a key of a section that is in no map.
func (c *Config) mistake(path, value, format string, args ...any) *Error {
	origin := c.Origin(path)
	return &Error{Origin: origin, Key: path, Value: value, Text: fmt.Sprintf(format, args...)}
}

// given reports whether some layer sets a key.
func (c *Config) given(path string) bool { return c.Origin(path).Layer != LayerDefault }

// checkListen refuses addresses that cannot be used, and those that other
// machines reach unless the operator wants it.
func (c *Config) checkListen() Errors {
	all := c.checkAddress("listen.address", c.Listen.Address)
	if c.Listen.Internal != "" {
		all = append(all, c.checkAddress("listen.internal", c.Listen.Internal)...)
	}
	if err := checkControl(c.Listen.Control); err != nil {
		all = append(all, c.mistake("listen.control", fmt.Sprintf("%q", c.Listen.Control), "%s", err))
	}
	if _, port, _ := net.SplitHostPort(c.Listen.Address); c.Listen.Internal == c.Listen.Address && port != "0" {
		all = append(all, c.mistake("listen.internal", fmt.Sprintf("%q", c.Listen.Internal), "this is the address of the public port"))
	}
	if c.Exposed() && !c.Listen.AllowUnauthenticated && !c.Authenticated() {
		all = append(all, c.mistake("listen.address", fmt.Sprintf("%q", c.Listen.Address),
			"other machines can reach this address, and there is no authentication; "+
				"add a section auth, or %s to accept every client", c.advice("listen.allow_unauthenticated", "true")))
	}
	if c.Listen.Pprof && c.Exposed() && c.Listen.Internal == "" {
		all = append(all, c.mistake("listen.pprof", "", "other machines can reach listen.address %q; add %s for the profiles",
			c.Listen.Address, c.advice("listen.internal", "")))
	}
	return all
}

// maxControl bounds the path of the control socket in bytes: the system's limit
// is about 104, and the socket is made under a longer name.
const maxControl = 80

func checkControl(path string) error {
	switch {
	case path == "":
		return nil
	case runtime.GOOS == "windows":
		return errors.New("this system has no Unix sockets that only their user can connect to")
	case len(path) > maxControl:
		return fmt.Errorf("want at most %d bytes", maxControl)
	}
	return nil
}

func (c *Config) checkAddress(path, address string) Errors {
	quoted := fmt.Sprintf("%q", address)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return Errors{c.mistake(path, quoted, "want host:port")}
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return Errors{c.mistake(path, quoted, "unknown port %q", port)}
	}
	return nil
}

// advice names a key in the words of the user: the flag for users of flags.
func (c *Config) advice(path, value string) string {
	k := lookup(strings.ReplaceAll(path, ".", delimiter))
	if c.hasFile() || k.flag == "" {
		return fmt.Sprintf("%q", strings.TrimSpace(path+": "+value))
	}
	return "--" + k.flag
}

func (c *Config) hasFile() bool {
	for _, origin := range c.origins {
		if origin.Layer == LayerFile {
			return true
		}
	}
	return false
}

// checkTLS reads the certificate as the node does.
func (c *Config) checkTLS() Errors {
	cert, key := c.TLS.Cert, c.TLS.Key
	switch {
	case cert == "" && key != "":
		return Errors{c.mistake("tls.key", "", "missing the certificate for the key %q: add %s", key, c.advice("tls.cert", ""))}
	case key == "" && cert != "":
		return Errors{c.mistake("tls.cert", "", "missing the key for the certificate %q: add %s", cert, c.advice("tls.key", ""))}
	case cert == "":
		return nil
	case c.Listen.Transport == "epoll":
		return Errors{c.mistake("listen.transport", c.Listen.Transport, "TLS needs the blocking transport")}
	}
	if _, err := certwatch.Open(cert, key, slog.New(slog.DiscardHandler)); err != nil {
		return Errors{c.mistake("tls.cert", "", "unusable with the key %q: %s", key, strings.ReplaceAll(err.Error(), "\n", "; "))}
	}
	return nil
}

// checkProxies refuses keys that have no effect without a trusted proxy.
func (c *Config) checkProxies() Errors {
	var all Errors
	if _, err := c.Proxies.networks(); err != nil {
		all = append(all, c.mistake("proxies.trusted", "", "%s", err))
	}
	for _, path := range []string{"proxies.header", "proxies.protocol"} {
		k := lookup(strings.ReplaceAll(path, ".", delimiter))
		if c.given(path) && len(c.Proxies.Trusted) == 0 && !c.isStandard(k) {
			all = append(all, c.mistake(path, "", "no proxy is trusted: add %s", c.advice("proxies.trusted", "")))
		}
	}
	return all
}

// checkCluster refuses keys that have no effect without Redis: with a forgotten
// server, messages would silently not reach the other nodes.
func (c *Config) checkCluster() Errors {
	var all Errors
	servers := c.Cluster.Redis
	for _, k := range root.child("cluster").keys {
		if strings.HasPrefix(k.name, "redis") || k.name == "node_id" {
			continue // the ID is useful alone, too
		}
		if c.given(k.path) && len(servers) == 0 && !c.isStandard(k) {
			all = append(all, c.mistake(k.path, "", "there is no cluster: add %s", c.advice("cluster.redis", "")))
		}
	}
	if c.Cluster.Name == "" {
		all = append(all, c.mistake("cluster.name", `""`, "want a name"))
	}
	if len(c.Cluster.Advertise) > maxAdvertise || strings.ContainsFunc(c.Cluster.Advertise, notPlain) {
		all = append(all, c.mistake("cluster.advertise", fmt.Sprintf("%q", c.Cluster.Advertise),
			"want an address of at most %d bytes without spaces", maxAdvertise))
	}
	secure := slices.ContainsFunc(servers, func(url string) bool { return strings.HasPrefix(url, "rediss") })
	for _, file := range []struct{ key, path string }{
		{"cluster.redis_ca", c.Cluster.RedisCA}, {"cluster.redis_cert", c.Cluster.RedisCert}, {"cluster.redis_key", c.Cluster.RedisKey},
	} {
		if file.path != "" && !secure {
			all = append(all, c.mistake(file.key, "", "no server uses TLS; want a URL with rediss://"))
		}
	}
	switch cert, key := c.Cluster.RedisCert, c.Cluster.RedisKey; {
	case cert == "" && key != "":
		all = append(all, c.mistake("cluster.redis_key", "", "missing the certificate for the key %q: add %s", key, c.advice("cluster.redis_cert", "")))
	case key == "" && cert != "":
		all = append(all, c.mistake("cluster.redis_cert", "", "missing the key for the certificate %q: add %s", cert, c.advice("cluster.redis_key", "")))
	}
	if len(all) > 0 || len(servers) == 0 {
		return all
	}
	if c.Cluster.RedisCert != "" {
		if _, err := c.redisCertificate(nil); err != nil {
			return append(all, c.mistake("cluster.redis_cert", "", "unusable with the key %q: %s", c.Cluster.RedisKey, err))
		}
	}
	config, err := c.Redis()
	if err != nil {
		return append(all, c.mistake("cluster.redis_ca", "", "%s", err))
	}
	return append(all, c.checkRedis(config)...)
}

// checkRedis has package redisbroker check its configuration; it connects to
// nothing.
func (c *Config) checkRedis(config redisbroker.Config) Errors {
	var all Errors
	try := func(path string, config redisbroker.Config) {
		if _, err := redisbroker.New(config); err != nil {
			for _, err := range separate(err) {
				all = append(all, c.mistake(path, "", "%s", strings.TrimPrefix(err.Error(), "redisbroker: ")))
			}
		}
	}
	local := []string{"redis://localhost"}
	try("cluster.redis", redisbroker.Config{Servers: config.Servers})
	try("cluster.name", redisbroker.Config{Servers: local, Cluster: config.Cluster})
	if config.NodeID != "" {
		try("cluster.node_id", redisbroker.Config{Servers: local, NodeID: config.NodeID})
	}
	return all
}

// checkSizes refuses limits that contradict each other.
func (c *Config) checkSizes() Errors {
	limit, between := c.Limits.Message, c.Cluster.MaxMessage
	if len(c.Cluster.Redis) > 0 && (limit < 0 || limit > between-brokerOverhead) {
		path := "limits.message"
		if !c.given(path) {
			path = "cluster.max_message"
		}
		k := lookup(strings.ReplaceAll(path, ".", delimiter))
		value := limit
		if path == "cluster.max_message" {
			value = between
		}
		return Errors{c.mistake(path, k.format(value), "messages of clients would be too large for the cluster: "+
			"want cluster.max_message to be at least %d bytes above limits.message", brokerOverhead)}
	}
	return nil
}

// notPlain reports whether a character would break a column of text.
func notPlain(r rune) bool {
	return r == unicode.ReplacementChar || unicode.IsSpace(r) || !unicode.IsPrint(r)
}
