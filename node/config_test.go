package node_test

import (
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// Every limit has a line in docs/limits.md.
func TestLimitsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range []reflect.Type{reflect.TypeFor[node.Limits](), reflect.TypeFor[node.Timeouts]()} {
		for i := range group.NumField() {
			if name := group.Name() + "." + group.Field(i).Name; !strings.Contains(string(page), "`"+name) {
				t.Errorf("%s is not in docs/limits.md", name)
			}
		}
	}
}

func TestConfigRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*node.Config)
		want   string
	}{
		{"long ID", func(c *node.Config) { c.ID = strings.Repeat("x", 65) }, "ID"},
		{"ID with a slash", func(c *node.Config) { c.ID = "a/b" }, "ID"},
		{"ID with a line break", func(c *node.Config) { c.ID = "a\nb" }, `"a\nb"`},
		{"ID that is not ASCII", func(c *node.Config) { c.ID = "ϟ" }, "ID"},
		{"too many loops", func(c *node.Config) { c.Loops = 65 }, "Loops 65"},
		{"negative loops", func(c *node.Config) { c.Loops = -1 }, "Loops -1"},
		{"unknown transport", func(c *node.Config) { c.Transport = 17 }, "Transport"},
		{"endpoint without a slash", func(c *node.Config) { c.Endpoint = "ws" }, "Endpoint"},
		{"origin without a scheme", func(c *node.Config) { c.AllowOrigins = []string{"chat.example.com"} }, "AllowOrigins"},
		{"origin with a path", func(c *node.Config) { c.AllowOrigins = []string{"https://chat.example.com/"} }, "AllowOrigins"},
		{"origin with a query", func(c *node.Config) { c.AllowOrigins = []string{"https://chat.example.com?x=y"} }, "AllowOrigins"},
		{"origin with a user", func(c *node.Config) { c.AllowOrigins = []string{"https://me@chat.example.com"} }, "AllowOrigins"},
		{"pattern", func(c *node.Config) { c.AllowOrigins = []string{"*.example.com"} }, "AllowOrigins"},
		{"host with a port", func(c *node.Config) { c.AllowHosts = []string{"a.test:80"} }, "AllowHosts"},
		{"empty host", func(c *node.Config) { c.AllowHosts = []string{""} }, "AllowHosts"},
		{"pattern in the middle", func(c *node.Config) { c.AllowOrigins = []string{"https://chat.*.com"} }, `AllowOrigins "https://chat.*.com": want scheme://host[:port]`},
		{"subprotocol", func(c *node.Config) { c.Subprotocols = []string{"chat v1"} }, `Subprotocols "chat v1": want a token`},
		{"burst without a rate", func(c *node.Config) { c.Limits.Messages.Burst = 5 }, "Limits.Messages"},
		{"negative rate", func(c *node.Config) { c.Limits.UserBytes.PerSecond = -1 }, "Limits.UserBytes: PerSecond -1"},
		{"rate that is no number", func(c *node.Config) { c.Limits.Bytes.PerSecond = math.NaN() }, "Limits.Bytes"},
		{"negative burst", func(c *node.Config) { c.Limits.Joins = node.Rate{PerSecond: 1, Burst: -1} }, "Limits.Joins: Burst -1"},
		{"long prefix", func(c *node.Config) { c.Limits.AddressPrefix = 129 }, "Limits.AddressPrefix 129"},
		{"unknown policy", func(c *node.Config) { c.Limits.OverRate = 2 }, "Limits.OverRate 2"},
		{"empty origin", func(c *node.Config) { c.AllowOrigins = []string{""} }, "AllowOrigins"},
		{"unknown relay", func(c *node.Config) {
			c.Namespaces = map[string]node.NamespaceOptions{"chat": {Relay: 1 << 3}}
		}, `"chat": Relay 8 is unknown`},
		{"unknown access", func(c *node.Config) { declare(c, node.NamespaceOptions{Access: node.Access{Ask: 4}}) }, "Access.Ask"},
		{"pattern of rooms", func(c *node.Config) { declare(c, node.NamespaceOptions{Rooms: node.RoomNames{Pattern: "a)|(b"}}) }, "Rooms.Pattern"},
		{"length of rooms", func(c *node.Config) { declare(c, node.NamespaceOptions{Rooms: node.RoomNames{MaxLength: -1}}) }, "Rooms.MaxLength -1"},
		{"size above that of the node", func(c *node.Config) {
			c.Limits.Message = 1000
			declare(c, node.NamespaceOptions{MaxMessage: 1001})
		}, "MaxMessage 1001"},
		{"members", func(c *node.Config) { declare(c, node.NamespaceOptions{MembersPerRoom: -1}) }, "MembersPerRoom -1"},
		{"name of a namespace", func(c *node.Config) { c.Namespaces = map[string]node.NamespaceOptions{"\xff": {}} }, `"\xff"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var cfg node.Config
			c.change(&cfg)
			n, err := node.New(cfg)
			if err == nil {
				_ = n.Close()
				t.Fatal("New returned no error")
			}
			if !strings.HasPrefix(err.Error(), "node: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %q, want one about %s", err, c.want)
			}
		})
	}
	t.Run("every mistake is reported", func(t *testing.T) {
		_, err := node.New(node.Config{ID: "a/b", Loops: 65, Endpoint: "ws", AllowOrigins: []string{"x", "y"}})
		if err == nil {
			t.Fatal("New returned no error")
		}
		for _, want := range []string{"ID", "Loops", "Endpoint", `"x"`, `"y"`} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error is %q, want one about %s too", err, want)
			}
		}
	})
}

// declare adds a namespace to a configuration.
func declare(c *node.Config, o node.NamespaceOptions) {
	c.Namespaces = map[string]node.NamespaceOptions{"chat": o}
}

func TestConfigAccepted(t *testing.T) {
	for name, cfg := range map[string]node.Config{
		"zero":      {},
		"host name": {ID: "chat-7d9f-abc.example.com"},
		"greatest":  {ID: strings.Repeat("Z", 64), Loops: 64, Endpoint: "*", AllowOrigins: []string{"*", "https://a.test", "http://b.test:81"}},
		"without limits": {Limits: node.Limits{Header: -1, Namespaces: -1, Rooms: -1, SendQueue: -1, ReceiveQueue: -1, LoopQueue: -1,
			InvalidPayloads: -1, Connections: -1, DrainPerSecond: -1},
			Timeouts: node.Timeouts{Handshake: -1, Ping: -1, Pong: -1, Write: -1, Close: -1, Join: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := node.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if n.ID() == "" || n.Addr() != nil {
				t.Errorf("ID %q, address %v, want an ID and no address yet", n.ID(), n.Addr())
			}
			if err := n.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// A node without limits and timeouts works like any other.
func TestNothingIsLimited(t *testing.T) {
	n := startNode(t, func(c *node.Config) {
		c.Limits = node.Limits{Header: -1, Namespaces: -1, Rooms: -1, SendQueue: -1, ReceiveQueue: -1, LoopQueue: -1,
			InvalidPayloads: -1, Connections: -1, DrainPerSecond: -1}
		c.Limits.Message, c.Limits.Names.Room, c.Limits.Names.Event = -1, -1, -1
		c.Timeouts = node.Timeouts{Handshake: -1, Ping: -1, Pong: -1, Write: -1, Join: -1}
	})
	room := strings.Repeat("r", 10_000)
	a, b := join(t, n, "default", room), join(t, n, "default", room)
	message := ";default;" + room + ";" + strings.Repeat("e", 10_000) + ";0;0;" + strings.Repeat("x", 200_000)
	a.send(message)
	b.expect(message)
}
