package redisbroker_test

import (
	"bytes"
	"context"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
)

func TestParseURL(t *testing.T) {
	for _, c := range []struct {
		url  string
		want redisbroker.ServerFacts
	}{
		{"redis://localhost", redisbroker.ServerFacts{Identity: "localhost:6379", Addresses: []string{"localhost:6379"}}},
		{"redis://Redis.Example:7000/3", redisbroker.ServerFacts{
			Identity: "redis.example:7000/3", Addresses: []string{"redis.example:7000"}, Database: 3}},
		{"redis://user:p%40ss@h/", redisbroker.ServerFacts{
			Identity: "h:6379", Addresses: []string{"h:6379"}, Username: "user", Password: "p@ss"}},
		{"redis://:pa:ss@h", redisbroker.ServerFacts{Identity: "h:6379", Addresses: []string{"h:6379"}, Password: "pa:ss"}},
		{"rediss://[::1]:7000", redisbroker.ServerFacts{Identity: "[::1]:7000", Addresses: []string{"[::1]:7000"}, TLS: true}},
		{"redis://[::1]", redisbroker.ServerFacts{Identity: "[::1]:6379", Addresses: []string{"[::1]:6379"}}},
		{"unix:///run/redis/redis.sock", redisbroker.ServerFacts{
			Identity: "/run/redis/redis.sock", Addresses: []string{"/run/redis/redis.sock"}}},
		{"unix://user:p%2Fss@/run/a%20b.sock?db=2", redisbroker.ServerFacts{
			Identity: "/run/a b.sock?db=2", Addresses: []string{"/run/a b.sock"}, Username: "user", Password: "p/ss", Database: 2}},
		{"redis+sentinel://u:p@h2:26380,h1/mymaster/2?sentinel_username=s&sentinel_password=q%26r", redisbroker.ServerFacts{
			Identity: "mymaster@h1:26379,h2:26380/2", Master: "mymaster", Username: "u", Password: "p",
			SentinelUsername: "s", SentinelPassword: "q&r", Addresses: []string{"h1:26379", "h2:26380"}, Database: 2}},
		{"rediss+sentinel://h/m", redisbroker.ServerFacts{
			Identity: "m@h:26379", Master: "m", Addresses: []string{"h:26379"}, TLS: true}},
	} {
		t.Run(c.url, func(t *testing.T) {
			got, err := redisbroker.ParseURL(c.url)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("= %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

// TestURLErrorsKeepPasswords tries invalid URLs: no error contains the
// password, even if it was parsed as another part.
func TestURLErrorsKeepPasswords(t *testing.T) {
	for _, url := range []string{
		"", "secret", "http://user:secret@h", "redis:user:secret@h", "redis://user:sec%ret@h", "redis://user:secret%zz@h",
		"redis://user:/secret@h", "redis://user:?secret@h", "redis://user:sec ret@", "redis://user:secret@h:port",
		"redis://user:secret@h:0", "redis://user:secret@h:99999", "redis://user:secret@h/db", "redis://user:secret@h/-1",
		"redis://user:secret@h1,h2", "redis://user:secret@h?password=secret", "redis://h?%zz", "redis+sentinel://user:secret@h",
		"redis+sentinel://user:secret@h/a b", "redis+sentinel://h/m?master_password=secret", "redis://user:secret@a b",
		"redis://us%er:secret@h", "unix://user:secret@", "unix://user:secret@h/path", "unix://user:secret@/", "unix://secret/path",
		"unix://user:secret@/path?password=secret", "unix://user:secret@/path?db=secret", "unix://user:sec%ret@/path",
		"unix://user:secret@/" + strings.Repeat("p", 200),
	} {
		t.Run(url, func(t *testing.T) {
			_, err := redisbroker.New(redisbroker.Config{Servers: []string{url}})
			if err == nil {
				t.Fatal("New = nil, want an error")
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "ret") {
				t.Errorf("the error repeats the password: %v", err)
			}
			if !strings.Contains(err.Error(), "Redis server 1") {
				t.Errorf("the error does not say which URL is wrong: %v", err)
			}
		})
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("redis://user:password@host:6379/1")
	f.Add("redis+sentinel://user:password@h1:1,h2/master/1?sentinel_password=x")
	f.Fuzz(func(t *testing.T, url string) {
		facts, err := redisbroker.ParseURL(url)
		if err == nil && (len(facts.Addresses) == 0 || strings.ContainsAny(facts.Identity, " \r\n\t")) {
			t.Errorf("accepted as %+v", facts)
		}
	})
}

func TestConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		config redisbroker.Config
		want   string
	}{
		{"no server", redisbroker.Config{}, "no Redis server"},
		{"pattern in the name", redisbroker.Config{Servers: []string{"redis://h"}, Cluster: "a*"}, "cluster name"},
		{"space in the node", redisbroker.Config{Servers: []string{"redis://h"}, NodeID: "a b"}, "node ID"},
		{"long ID of the node", redisbroker.Config{Servers: []string{"redis://h"}, NodeID: strings.Repeat("x", 65)}, "node ID"},
		{"same server", redisbroker.Config{Servers: []string{"redis://h", "redis://user@H:6379"}}, "given twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := redisbroker.New(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("New = %v, want an error with %q", err, c.want)
			}
		})
	}
}

// TestPasswords starts with the right and the wrong password and checks all
// output.
func TestPasswords(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "correct-secret")
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	startBroker(t, redisbroker.Config{Servers: []string{server.URL()}, Cluster: "right", Logger: logger}, newLedger())

	for _, url := range []string{"redis://:wrong-secret@" + server.Addr(), "redis://" + server.Addr()} {
		b := newBroker(t, redisbroker.Config{Servers: []string{url}, Logger: logger})
		err := b.Start(t.Context(), newLedger())
		if err == nil {
			t.Errorf("Start with the wrong password = nil, want an error")
		} else if strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), server.Addr()) {
			t.Errorf("Start = %v, want the server's address and no password", err)
		}
		if err := b.Close(context.Background()); err != nil {
			t.Errorf("Close after a Start that failed = %v, want nil", err)
		}
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("the log has a password:\n%s", log.String())
	}
}
