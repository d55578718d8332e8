package cluster_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// admin reads the state of a Redis server.
type admin struct {
	t      testing.TB
	client *redis.Client
}

const adminName = "admin"

func openAdmin(t testing.TB, address string) *admin {
	t.Helper()
	a := &admin{t: t, client: redis.NewClient(&redis.Options{
		Addr: address, ClientName: adminName, DisableIdentity: true, PoolSize: 1,
	})}
	t.Cleanup(func() { _ = a.client.Close() })
	return a
}

// connections returns the names of all other connections.
func (a *admin) connections() []string {
	a.t.Helper()
	list, err := a.client.ClientList(a.t.Context()).Result()
	if err != nil {
		a.t.Fatalf("CLIENT LIST: %v", err)
	}
	var names []string
	for line := range strings.Lines(list) {
		_, name, _ := strings.Cut(line, " name=")
		name, _, _ = strings.Cut(name, " ")
		if name != adminName {
			names = append(names, name)
		}
	}
	return names
}

// channels returns the channels with a subscriber.
func (a *admin) channels(pattern string) []string {
	a.t.Helper()
	names, err := a.client.PubSubChannels(a.t.Context(), pattern).Result()
	if err != nil {
		a.t.Fatalf("PUBSUB CHANNELS: %v", err)
	}
	slices.Sort(names)
	return names
}

// keys returns all keys.
func (a *admin) keys() []string {
	a.t.Helper()
	names, err := a.client.Keys(a.t.Context(), "*").Result()
	if err != nil {
		a.t.Fatalf("KEYS: %v", err)
	}
	slices.Sort(names)
	return names
}

// members returns the members of a set.
func (a *admin) members(key string) []string {
	a.t.Helper()
	names, err := a.client.SMembers(a.t.Context(), key).Result()
	if err != nil {
		a.t.Fatalf("SMEMBERS: %v", err)
	}
	slices.Sort(names)
	return names
}

// calls returns how often each command was executed.
func (a *admin) calls() map[string]int {
	a.t.Helper()
	text, err := a.client.Info(a.t.Context(), "commandstats").Result()
	if err != nil {
		a.t.Fatalf("INFO commandstats: %v", err)
	}
	all := make(map[string]int)
	for line := range strings.Lines(text) {
		name, figures, found := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		figures, _, _ = strings.Cut(figures, ",")
		if count, err := strconv.Atoi(figures); found && err == nil {
			all[name] = count
		}
	}
	return all
}
