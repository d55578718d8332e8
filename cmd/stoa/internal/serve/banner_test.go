package serve

import (
	"net"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

func TestBanner(t *testing.T) {
	f := facts{
		build:    cli.Build{Version: "1.2.3"},
		nodeID:   "abcd1234",
		address:  &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080},
		demo:     true,
		endpoint: "/ws",
		loops:    2,

		namespaces: []string{"default"},
		capacity:   capacity{files: 1 << 20, held: 1<<20 - 72, memory: 2e9},
	}
	want := `Stoa 1.2.3, node abcd1234, 2 loops

  Open       http://127.0.0.1:8080/ in two browser tabs
  Clients    ws://127.0.0.1:8080/ws, namespace "default"
  Room for   about 410,000 idle connections (2.0 GB of memory at about 4.8 KB each; 1,048,576 open files would allow 1,000,000)

Press Ctrl-C to close all connections and stop.
`
	if got := f.banner(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	f.demo, f.internal = false, &net.TCPAddr{IP: net.IPv6unspecified, Port: 9090}
	if got, want := f.banner(), "  Internal   http://localhost:9090/metrics, /healthz and /readyz\n"; !strings.Contains(got, want) || strings.Contains(got, "Open ") {
		t.Errorf("want %q and no page in:\n%s", want, got)
	}
	f.cluster, f.servers = "chat", []string{"a:6379", "b:6379"}
	if got, want := f.banner(), "  Cluster    \"chat\" on 2 Redis servers: a:6379, b:6379\n"; !strings.Contains(got, want) {
		t.Errorf("want %q in:\n%s", want, got)
	}
	f.capacity.files, f.capacity.held = 1024, 960
	if got := f.banner(); !strings.Contains(got, "Warning") || !strings.Contains(got, "about 960 idle connections (1,024 open files; ") {
		t.Errorf("want a warning, and 960 connections, in:\n%s", got)
	}
}

func TestCapacity(t *testing.T) {
	cases := []struct {
		name     string
		capacity capacity
		want     string
		low      bool
	}{
		{"nothing is known", capacity{}, "as many connections as the system allows", false},
		{"files", capacity{files: 20_000, held: 19_928}, "about 19,000 idle connections (20,000 open files)", false},
		{"memory", capacity{memory: 48e6}, "about 10,000 idle connections (0.0 GB of memory at about 4.8 KB each)", false},
		{"at the mark", capacity{files: lowFileLimit, held: 9_928}, "about 9,900 idle connections (10,000 open files)", false},
		{"low", capacity{files: 256, held: 192}, "about 190 idle connections (256 open files)", true},
		{"fewer than reserved", capacity{files: 10, held: 5}, "about 5 idle connections (10 open files)", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := c.capacity.describe(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := c.capacity.filesAreLow(); got != c.low {
				t.Errorf("filesAreLow is %t, want %t", got, c.low)
			}
		})
	}
}

func TestHost(t *testing.T) {
	cases := []struct {
		ip   net.IP
		want string
	}{
		{net.IPv4(127, 0, 0, 1), "127.0.0.1:80"},
		{net.IPv4zero, "localhost:80"},
		{net.IPv6unspecified, "localhost:80"},
		{net.IPv6loopback, "[::1]:80"},
	}
	for _, c := range cases {
		if got := hostOf(&net.TCPAddr{IP: c.ip, Port: 80}); got != c.want {
			t.Errorf("%s: got %q, want %q", c.ip, got, c.want)
		}
	}
}
