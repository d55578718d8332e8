package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/node"
)

// effects has, for every key, a value in YAML, and the fields that it changes
// with their values in Go syntax. A field is one of the node's configuration,
// of the broker's, or of Config itself for keys that stoa serve reads there;
// the tests of the program show the effect of those.
var effects = []struct {
	key, value string
	fields     map[string]string
}{
	{"listen.address", "localhost:81", fields{"Config.Listen.Address": "localhost:81"}},
	{"listen.allow_unauthenticated", "true", fields{"Config.Listen.AllowUnauthenticated": "true"}},
	{"listen.internal", "':82'", fields{"Config.Listen.Internal": ":82"}},
	{"listen.control", "/run/stoa.sock", fields{"Config.Listen.Control": "/run/stoa.sock"}},
	{"listen.demo", "'on'", fields{"Config.Listen.Demo": "on"}},
	{"listen.pprof", "true", fields{"Config.Listen.Pprof": "true"}},
	{"listen.endpoint", "/chat", fields{"node.Endpoint": "/chat"}},
	{"listen.transport", "blocking", fields{"node.Transport": "blocking"}},
	{"listen.loops", "63", fields{"node.Loops": "63"}},
	{"tls.cert", "CERT", fields{"Config.TLS.Cert": "CERT"}},
	{"tls.key", "KEY", fields{"Config.TLS.Key": "KEY"}},
	{"origins", "[https://a.test, 'null']", fields{"node.AllowOrigins": "[https://a.test null]"}},
	{"hosts", "[a.test]", fields{"node.AllowHosts": "[localhost a.test]"}},
	{"subprotocols", "[chat.v2, chat.v1]", fields{"node.Subprotocols": "[chat.v2 chat.v1]"}},
	{"proxies.trusted", "[10.0.0.0/8, '::1']", fields{"node.TrustedProxies": "[10.0.0.0/8 ::1/128]"}},
	{"proxies.header", "forwarded", fields{"node.ProxyHeader": "forwarded"}},
	{"proxies.protocol", "true", fields{"node.ProxyProtocol": "true", "node.ProxyHeader": "none"}},
	{"cluster.redis", "[redis://a, redis://b]", fields{"redis.Servers": "[redis://a redis://b]"}},
	{"cluster.redis_ca", "CERT", fields{"redis.TLS": "set"}},
	{"cluster.redis_cert", "CERT", fields{"Config.Cluster.RedisCert": "CERT", "redis.TLS": "set"}},
	{"cluster.redis_key", "KEY", fields{"Config.Cluster.RedisKey": "KEY"}},
	{"cluster.name", "chat", fields{"redis.Cluster": "chat"}},
	{"cluster.node_id", "one", fields{"redis.NodeID": "one", "node.ID": "one"}},
	{"cluster.advertise", "a.test:80", fields{"Config.Cluster.Advertise": "a.test:80"}},
	{"cluster.queue", "1MiB", fields{"redis.QueueBytes": "1048576"}},
	{"cluster.queue_age", "1m", fields{"redis.QueueAge": "1m0s"}},
	{"cluster.max_message", "2MiB", fields{"redis.MaxMessage": "2097152"}},
	{"cluster.probe_interval", "2s", fields{"redis.ProbeInterval": "2s"}},
	{"cluster.lease", "20s", fields{"redis.Lease": "20s"}},
	{"cluster.dial_timeout", "1s500ms", fields{"redis.DialTimeout": "1.5s"}},
	{"cluster.flush_wait", "4s", fields{"redis.FlushWait": "4s"}},
	{"cluster.retry_max", "5s", fields{"redis.RetryMax": "5s"}},
	{"namespaces.*.history.messages", "5", fields{"node.Namespaces[default].History.Messages": "5", "node.Namespaces[default].History.Age": "1h0m0s", "node.Namespaces[default].History.Bytes": "1048576", "node.Namespaces[default].History.DuplicateWindow": "2m0s"}},
	{"namespaces.*.presence", "count", fields{"node.Namespaces[default].Presence": "count"}},
	{"namespaces.*.history.on_join", "2", fields{"node.Namespaces[default].History.OnJoin": "2"}},
	{"namespaces.*.history.latest_by", "symbol", fields{"node.Namespaces[default].History.LatestBy": "symbol", "node.Namespaces[default].History.LatestKeys": "1000"}},
	{"namespaces.*.history.latest_keys", "5", fields{"node.Namespaces[default].History.LatestKeys": "5"}},
	{"namespaces.*.history.age", "5m", fields{"node.Namespaces[default].History.Age": "5m0s"}},
	{"namespaces.*.history.duplicate_window", "5m", fields{"node.Namespaces[default].History.DuplicateWindow": "5m0s"}},
	{"namespaces.*.history.bytes", "2MiB", fields{"node.Namespaces[default].History.Bytes": "2097152"}},
	{"namespaces.*.slow_consumer", "drop", fields{"node.Namespaces[default].SlowConsumer": "drop"}},
	{"namespaces.*.relay", "[asks, rooms]", fields{"node.Namespaces[default].Relay": "5"}},
	{"namespaces.*.access.connect", "user", fields{"node.Namespaces[default].Access.Connect": "user"}},
	{"namespaces.*.access.join", "user", fields{"node.Namespaces[default].Access.Join": "user"}},
	{"namespaces.*.access.emit", "none", fields{"node.Namespaces[default].Access.Emit": "none"}},
	{"namespaces.*.access.ask", "user", fields{"node.Namespaces[default].Access.Ask": "user"}},
	{"namespaces.*.access.history", "user", fields{"node.Namespaces[default].Access.History": "user"}},
	{"namespaces.*.access.presence", "user", fields{"node.Namespaces[default].Access.Presence": "user"}},
	{"namespaces.*.access.emit_namespace", "user", fields{"node.Namespaces[default].Access.EmitNamespace": "user"}},
	{"namespaces.*.rooms.max_length", "32B", fields{"node.Namespaces[default].Rooms.MaxLength": "32"}},
	{"namespaces.*.rooms.pattern", "'[a-z]+'", fields{"node.Namespaces[default].Rooms.Pattern": "[a-z]+"}},
	{"namespaces.*.max_message", "1KiB", fields{"node.Namespaces[default].MaxMessage": "1024"}},
	{"namespaces.*.members_per_room", "100", fields{"node.Namespaces[default].MembersPerRoom": "100"}},
	{"limits.history_memory", "1MiB", fields{"node.Limits.HistoryMemory": "1048576"}},
	{"auth.required", "never", fields{"jwt.Required": "false"}},
	{"auth.jwt.keys.*.file", "PUBLIC", fields{"jwt.Keys[1].ID": "default", "jwt.Keys[1].File": "PUBLIC"}},
	{"auth.jwt.keys.*.secret", secret, fields{"jwt.Keys[1].ID": "default", "jwt.Keys[1].Secret": secret}},
	{"auth.jwt.keys.*.secret_file", "SECRET", fields{"jwt.Keys[1].ID": "default", "jwt.Keys[1].SecretFile": "SECRET"}},
	{"auth.jwt.keys.*.algorithm", "HS256", fields{"jwt.Keys[1].Algorithm": "HS256"}},
	{"auth.jwt.jwks.url", "https://a.test/keys", fields{"jwt.JWKS.URL": "https://a.test/keys"}},
	{"auth.jwt.jwks.allow_http", "true", fields{"jwt.JWKS.AllowHTTP": "true"}},
	{"auth.jwt.jwks.refresh", "1h", fields{"jwt.JWKS.Refresh": "1h0m0s"}},
	{"auth.jwt.jwks.cooldown", "3s", fields{"jwt.JWKS.Cooldown": "3s"}},
	{"auth.jwt.jwks.timeout", "4s", fields{"jwt.JWKS.Timeout": "4s"}},
	{"auth.jwt.jwks.max_size", "1MiB", fields{"jwt.JWKS.MaxSize": "1048576"}},
	{"auth.jwt.issuers", "[https://login.test/]", fields{"jwt.Issuers": "[https://login.test/]"}},
	{"auth.jwt.audiences", "[chat]", fields{"jwt.Audiences": "[chat]"}},
	{"auth.jwt.allow_no_expiry", "true", fields{"jwt.AllowNoExpiry": "true"}},
	{"auth.jwt.clock_skew", "off", fields{"jwt.ClockSkew": "-1ns"}},
	{"auth.jwt.token_size", "1KiB", fields{"jwt.TokenSize": "1024"}},
	{"auth.jwt.sources", "[header, 'cookie:session']", fields{"jwt.Sources": "[header cookie:session]"}},
	{"auth.jwt.allow_login", "true", fields{"node.AllowLogin": "true"}},
	{"auth.jwt.claims.user", "user", fields{"jwt.Claims.User": "user"}},
	{"auth.jwt.claims.info", "about", fields{"jwt.Claims.Info": "about"}},
	{"auth.jwt.claims.permissions", "may", fields{"jwt.Claims.Permissions": "may"}},
	{"auth.jwt.default_permissions", "['default:lobby:join']", fields{"jwt.DefaultPermissions": "[{default [lobby] join}]"}},
	{"auth.api_keys.*.keys", "[" + apiKey + "]", fields{"keys[0].Secret": apiKey, "keys[0].SHA256": "", "keys[1].Name": "default", "keys[1].Secret": "", "keys[1].SHA256": hash, "keys[1].Scopes": "[]", "keys[1].Permissions": "[]"}},
	{"auth.api_keys.*.sha256", "[" + hash + "]", fields{"keys[1].Name": "default", "keys[1].SHA256": hash, "keys[1].Scopes": "[]", "keys[1].Permissions": "[]"}},
	{"auth.api_keys.*.scopes", "[publish]", fields{"keys[0].Scopes": "[publish]"}},
	{"auth.api_keys.*.permissions", "['*:join']", fields{"keys[0].Permissions": "[{* [] join}]"}},
	{"limits.message", "32KiB", fields{"node.Limits.Message": "32768", "node.Limits.Names.Message": "32768"}},
	{"limits.header", "16KiB", fields{"node.Limits.Header": "16384"}},
	{"limits.connections", "1_000", fields{"node.Limits.Connections": "1000"}},
	{"limits.namespaces", "17", fields{"node.Limits.Namespaces": "17"}},
	{"limits.rooms", "off", fields{"node.Limits.Rooms": "-1"}},
	{"limits.asks", "65", fields{"node.Limits.Asks": "65"}},
	{"limits.asks_to_client", "257", fields{"node.Limits.AsksToClient": "257"}},
	{"limits.invalid_payloads", "1", fields{"node.Limits.InvalidPayloads": "1"}},
	{"limits.authentications", "11", fields{"node.Limits.Authentications": "11"}},
	{"limits.connections_per_user", "3", fields{"node.Limits.ConnectionsPerUser": "3"}},
	{"limits.user_overflow", "refuse", fields{"node.Limits.UserOverflow": "refuse"}},
	{"limits.pending_handshakes", "99", fields{"node.Limits.PendingHandshakes": "99"}},
	{"limits.handshakes", "100/s", fields{"node.Limits.Handshakes.PerSecond": "100"}},
	{"limits.address_handshakes", "2/s burst 20", fields{"node.Limits.AddressHandshakes.PerSecond": "2", "node.Limits.AddressHandshakes.Burst": "20"}},
	{"limits.address_connections", "50", fields{"node.Limits.AddressConnections": "50"}},
	{"limits.address_prefix", "56", fields{"node.Limits.AddressPrefix": "56"}},
	{"limits.messages", "200/s burst 400", fields{"node.Limits.Messages.PerSecond": "200", "node.Limits.Messages.Burst": "400"}},
	{"limits.bytes", "64KiB/s burst 1MiB", fields{"node.Limits.Bytes.PerSecond": "65536", "node.Limits.Bytes.Burst": "1048576"}},
	{"limits.user_messages", "0.5/s burst 1", fields{"node.Limits.UserMessages.PerSecond": "0.5", "node.Limits.UserMessages.Burst": "1"}},
	{"limits.user_bytes", "1MiB/s", fields{"node.Limits.UserBytes.PerSecond": "1.048576e+06"}},
	{"limits.joins", "10/s", fields{"node.Limits.Joins.PerSecond": "10"}},
	{"limits.over_rate", "close", fields{"node.Limits.OverRate": "close"}},
	{"limits.send_queue", "2MiB", fields{"node.Limits.SendQueue": "2097152"}},
	{"limits.receive_queue", "1KiB", fields{"node.Limits.ReceiveQueue": "1024"}},
	{"limits.queue_memory", "2GiB", fields{"node.Limits.QueueMemory": "2147483648"}},
	{"limits.loop_queue", "1GiB", fields{"node.Limits.LoopQueue": "1073741824"}},
	{"limits.names.token", "1B", fields{"node.Limits.Names.Token": "1"}},
	{"limits.names.namespace", "9B", fields{"node.Limits.Names.Namespace": "9"}},
	{"limits.names.room", "off", fields{"node.Limits.Names.Room": "-1"}},
	{"limits.names.event", "1KiB", fields{"node.Limits.Names.Event": "1024"}},
	{"timeouts.handshake", "1s", fields{"node.Timeouts.Handshake": "1s"}},
	{"timeouts.ping", "off", fields{"node.Timeouts.Ping": "-1ns"}},
	{"timeouts.pong", "2s", fields{"node.Timeouts.Pong": "2s"}},
	{"timeouts.write", "3s", fields{"node.Timeouts.Write": "3s"}},
	{"timeouts.close", "4s", fields{"node.Timeouts.Close": "4s"}},
	{"timeouts.message", "5s", fields{"node.Timeouts.Message": "5s"}},
	{"timeouts.join", "6s", fields{"node.Timeouts.Join": "6s"}},
	{"timeouts.ask", "7s", fields{"node.Timeouts.Ask": "7s"}},
	{"timeouts.presence_interval", "9s", fields{"node.Timeouts.PresenceInterval": "9s"}},
	{"timeouts.presence_grace", "9s", fields{"node.Timeouts.PresenceGrace": "9s"}},
	{"timeouts.expiry_notice", "9s", fields{"node.Timeouts.ExpiryNotice": "9s"}},
	{"timeouts.over_rate", "1h", fields{"node.Timeouts.OverRate": "1h0m0s"}},
	{"drain.delay", "8s", fields{"node.DrainDelay": "8s"}},
	{"drain.timeout", "0s", fields{"Config.Drain.Timeout": "0s"}},
	{"drain.rate", "5/s", fields{"node.Limits.DrainPerSecond": "5"}},
	{"log.level", "warn", fields{"Config.Log.Level": "warn"}},
	{"log.format", "json", fields{"Config.Log.Format": "json"}},
}

type fields = map[string]string

// Keys for tests.
const (
	secret = "0123456789abcdef0123456789abcdef"
	apiKey = "sk_0123456789abcdef0123456789abcdef"
)

var hash = strings.Repeat("0a", 32)

// withoutKey are the fields that no key sets.
var withoutKey = map[string]string{
	"node.HTTP":                            "the pages of stoa serve",
	"node.Broker":                          "made from the section cluster",
	"node.Logger":                          "made from the section log",
	"node.Limits.UserBytes.Burst":          "tested with limits.bytes",
	"node.Limits.Joins.Burst":              "tested with limits.messages",
	"node.Limits.Handshakes.Burst":         "tested with limits.messages",
	"node.NativeOnly":                      "needs a handler in Go",
	"node.Namespaces[default].MaxHandlers": "without handlers in Go there is nothing to limit",
	"redis.Info":                           "set by stoa serve",
	"jwt.JWKS.Client":                      "the default is enough",
	"jwt.Logger":                           "set by stoa serve",
	"redis.Logger":                         "made from the section log",
}

// needed are other keys that a key needs to be accepted.
var needed = map[string]string{
	"tls.cert": "tls: {key: KEY}", "tls.key": "tls: {cert: CERT}",
	"listen.loops":       "limits: {connections: 1}", // which depends on the loops
	"cluster.redis_ca":   "cluster: {redis: [rediss://a]}",
	"cluster.redis_cert": "cluster: {redis: [rediss://a], redis_key: KEY}", "cluster.redis_key": "cluster: {redis: [rediss://a], redis_cert: CERT}",
	// The algorithm restricts the second key.
	"auth.jwt.keys.*.algorithm":             "auth: {jwt: {keys: {a: {secret: " + secret + "}, default: {secret: " + secret + "}}}}",
	"auth.api_keys.*.keys":                  "auth: {api_keys: {default: {sha256: [" + hash + "]}}}",
	"auth.api_keys.*.sha256":                "auth: {api_keys: {default: {keys: [" + apiKey + "]}}}",
	"auth.api_keys.*.scopes":                "auth: {api_keys: {default: {keys: [" + apiKey + "]}}}",
	"auth.api_keys.*.permissions":           "auth: {api_keys: {default: {keys: [" + apiKey + "]}}}",
	"namespaces.*.history.age":              "namespaces: {default: {history: {messages: 5}}}",
	"namespaces.*.history.on_join":          "namespaces: {default: {history: {messages: 5}}}",
	"namespaces.*.history.duplicate_window": "namespaces: {default: {history: {messages: 5}}}",
	"namespaces.*.history.latest_by":        "namespaces: {default: {history: {messages: 5}}}",
	"namespaces.*.history.latest_keys":      "namespaces: {default: {history: {messages: 5, latest_by: symbol}}}",
	"namespaces.*.history.bytes":            "namespaces: {default: {history: {messages: 5}}}",
	"proxies.header":                        "proxies: {trusted: [10.0.0.1]}", "proxies.protocol": "proxies: {trusted: [10.0.0.1]}",
}

func TestEveryKeyHasAnEffect(t *testing.T) {
	pair := certificate(t)
	tested := make(map[string]bool)
	changed := make(map[string]bool)
	for _, e := range effects {
		tested[e.key] = true
		t.Run(e.key, func(t *testing.T) {
			base := needed[e.key]
			if base == "" && strings.HasPrefix(e.key, "auth.") && !strings.HasPrefix(e.key, "auth.api_keys") {
				base = "auth: {jwt: {keys: {a: {secret: " + secret + "}}}}"
			}
			if strings.HasPrefix(e.key, "auth.jwt.jwks.") && e.key != "auth.jwt.jwks.url" {
				base = "auth: {jwt: {jwks: {url: https://a.test/keys}}}"
			}
			if base == "" && strings.HasPrefix(e.key, "cluster.") && e.key != "cluster.redis" {
				base = "cluster: {redis: [redis://localhost]}"
			}
			before, after := load(t, pair, base), load(t, pair, base, e.key, e.value)
			got := make(fields)
			for name, value := range after {
				if before[name] != value {
					got[name] = value
				}
			}
			for name, want := range e.fields {
				if got[name] != pair.Replace(want) {
					t.Errorf("%s is %q, want %q", name, got[name], want)
				}
			}
			for name := range got {
				changed[name] = true
				if _, expected := e.fields[name]; !expected && !strings.HasPrefix(name, "Config.") {
					t.Errorf("%s changes, too: %q", name, got[name])
				}
			}
		})
	}
	everyLeaf(root, func(k *key) {
		if !tested[k.path] {
			t.Errorf("%s has no test", k.path)
		}
		if k.doc == "" || !strings.HasSuffix(k.doc, ".") {
			t.Errorf("%s has no description of whole sentences", k.path)
		}
	})
	for name := range load(t, pair, "") {
		if !changed[name] && withoutKey[name] == "" && !strings.HasPrefix(name, "Config.") {
			t.Errorf("no key sets %s", name)
		}
	}
}

// everyLeaf calls f for all keys with values, those in maps included.
func everyLeaf(k *key, f func(*key)) {
	if k.leaf() {
		f(k)
	}
	for _, below := range k.keys {
		everyLeaf(below, f)
	}
}

// load returns the fields of a configuration. A section in YAML may come first;
// the value of the key is that of the environment's form otherwise.
func load(t *testing.T, pair *strings.Replacer, base string, setting ...string) fields {
	t.Helper()
	content := pair.Replace(base) + "\n"
	layers := []*layer{parseFile("base.yaml", []byte(content))}
	if len(setting) > 0 {
		layers = append(layers, parseFile("stoa.yaml", []byte(pair.Replace(nest(setting[0], setting[1])))))
	}
	for _, l := range layers {
		if len(l.errors) > 0 {
			t.Fatal(l.errors)
		}
	}
	c, err := merge(layers)
	if err != nil {
		t.Fatal(err)
	}
	if mistakes := c.check(); len(setting) > 0 && len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	all := make(fields)
	redis, err := c.Redis()
	if err != nil {
		t.Fatal(err)
	}
	flatten(all, "node", reflect.ValueOf(c.Node().WithDefaults()))
	flatten(all, "redis", reflect.ValueOf(redis))
	flatten(all, "jwt", reflect.ValueOf(c.JWT(nil)))
	for i, k := range c.APIKeys() {
		flatten(all, fmt.Sprintf("keys[%d]", i), reflect.ValueOf(k))
	}
	for i, k := range c.JWT(nil).Keys {
		flatten(all, fmt.Sprintf("jwt.Keys[%d]", i), reflect.ValueOf(k))
	}
	delete(all, "jwt.Keys") // one by one
	flatten(all, "Config", reflect.ValueOf(*c))
	if c.Cluster.NodeID == "" {
		delete(all, "node.ID") // random
	}
	return all
}

// nest returns a key with its value in YAML.
func nest(path, value string) string {
	names := strings.Split(strings.ReplaceAll(path, "*", "default"), ".")
	text := value
	for i := len(names) - 1; i > 0; i-- {
		text = "{" + names[i] + ": " + text + "}"
	}
	return names[0] + ": " + text
}

// flatten adds the fields of a struct with their values as text.
func flatten(all fields, name string, value reflect.Value) {
	switch {
	case value.Kind() == reflect.Struct:
		for i := range value.NumField() {
			if field := value.Type().Field(i); field.IsExported() {
				flatten(all, name+"."+field.Name, value.Field(i))
			}
		}
	case value.Kind() == reflect.Map:
		for _, entry := range value.MapKeys() {
			flatten(all, fmt.Sprintf("%s[%v]", name, entry), value.MapIndex(entry))
		}
	case slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Interface, reflect.Func}, value.Kind()):
		all[name] = "unset"
		if !value.IsNil() {
			all[name] = "set"
		}
	default:
		all[name] = fmt.Sprint(value)
	}
}

// TestDefaultsAreThoseOfTheLibrary: a program over package node and one with a
// file start with the same limits.
func TestDefaultsAreThoseOfTheLibrary(t *testing.T) {
	c := Default()
	config := c.Node()
	library := node.Config{Loops: config.Loops}.WithDefaults()
	limits := config.Limits
	limits.Connections = library.Limits.Connections             // of the open files
	limits.PendingHandshakes = library.Limits.PendingHandshakes // as well
	limits.QueueMemory = library.Limits.QueueMemory             // of the memory
	limits.Names.Message = library.Limits.Names.Message         // ignored
	if limits != library.Limits {
		t.Errorf("limits are %+v, want %+v", limits, library.Limits)
	}
	if config.Timeouts != library.Timeouts {
		t.Errorf("timeouts are %+v, want %+v", config.Timeouts, library.Timeouts)
	}
	if config.Endpoint != library.Endpoint || config.Transport != library.Transport {
		t.Errorf("endpoint %q and transport %s, want %q and %s", config.Endpoint, config.Transport, library.Endpoint, library.Transport)
	}
	redis, err := c.Redis()
	if err != nil {
		t.Fatal(err)
	}
	broker := redisbroker.Config{NodeID: "one"}.WithDefaults()
	redis.NodeID, redis.Info, redis.Logger = "one", broker.Info, broker.Logger
	redis.Info, broker.Info = nil, nil
	if !reflect.DeepEqual(redis, broker) {
		t.Errorf("the broker's are %+v, want %+v", redis, broker)
	}
	if c.DrainTimeout() != 30*time.Second {
		t.Errorf("the drain takes %s, want 30s", c.DrainTimeout())
	}
}
