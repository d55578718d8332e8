package redisbroker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
)

const (
	// registerWait is how long a node that has just subscribed may take to
	// register; registerPause is the pause between two looks.
	registerWait  = time.Second
	registerPause = 100 * time.Millisecond
)

// ErrUnregistered is returned by [ListNodes] if more nodes are subscribed to a
// server than registered there.
var ErrUnregistered = errors.New("not all nodes of the cluster are registered")

// ListNodes returns the nodes of a cluster, in the order of their IDs, without
// joining it. It uses Servers, Cluster, DialTimeout and TLS of config. If some
// of the servers do not answer, it returns the nodes of the others, and an
// error. Without such an error, it returns
// [ErrUnregistered] if nodes are subscribed without an entry.
// A server without memory refuses entries, for instance, and the machine of a
// node may have vanished with its connections open.
func ListNodes(ctx context.Context, config Config) ([]cluster.NodeInfo, error) {
	config = config.WithDefaults()
	servers, err := config.servers()
	if err != nil {
		return nil, err
	}
	found := make(map[string]cluster.NodeInfo)
	var problems, unregistered []error
	for _, server := range servers {
		nodes, err := listServer(ctx, &config, server)
		switch err := (&serverError{server: server.identity, err: err}); {
		case err.err == nil:
		case errors.Is(err, ErrUnregistered):
			unregistered = append(unregistered, err)
		default:
			problems = append(problems, err)
		}
		for _, m := range nodes {
			found[m.ID] = m.NodeInfo
		}
	}
	if len(problems) == 0 {
		problems = unregistered
	}
	return sortNodes(found), errors.Join(problems...)
}

// listServer reads the nodes that a server knows. If more nodes are subscribed
// than have an entry, also after a moment, it returns an error as well.
func listServer(ctx context.Context, config *Config, server *endpoint) ([]peerNode, error) {
	link, err := newLink(ctx, config, server, linkOptions{
		name: config.Cluster + ".list", timeout: config.DialTimeout, anyRole: true,
	})
	if err != nil {
		return nil, err
	}
	defer link.end()
	stop := context.AfterFunc(ctx, link.dialer.end)
	defer stop()
	prefix := config.prefix(server.database)
	for deadline := time.Now().Add(registerWait); ; {
		ids, err := link.client.SMembers(ctx, prefix+nodesKey).Result()
		if err != nil {
			return nil, link.explain(err)
		}
		nodes, _, err := readNodes(ctx, link.client, prefix, ids)
		if err != nil {
			return nodes, link.explain(err)
		}
		// A user may lack the right to count the subscriptions.
		counts, err := link.client.PubSubNumSub(ctx, prefix+clusterChannel).Result()
		subscribed := counts[prefix+clusterChannel]
		if err != nil || subscribed <= int64(len(nodes)) {
			return nodes, nil
		}
		if !time.Now().Before(deadline) || !wait(ctx, registerPause) {
			return nodes, fmt.Errorf("%w: %d of %d; Redis refuses the entries of the others (their /readyz has the reason), or has not noticed that they are gone",
				ErrUnregistered, len(nodes), subscribed)
		}
	}
}

func sortNodes(nodes map[string]cluster.NodeInfo) []cluster.NodeInfo {
	sorted := make([]cluster.NodeInfo, 0, len(nodes))
	for _, info := range nodes {
		sorted = append(sorted, info)
	}
	slices.SortFunc(sorted, func(a, b cluster.NodeInfo) int { return strings.Compare(a.ID, b.ID) })
	return sorted
}

// serverError adds the server to an error.
type serverError struct {
	server string
	err    error
}

func (e *serverError) Error() string { return "redis " + e.server + ": " + e.err.Error() }

func (e *serverError) Unwrap() error { return e.err }

// readNodes reads entries; it returns the IDs without an entry as dead.
func readNodes(ctx context.Context, conn redis.Cmdable, prefix string, ids []string) (nodes []peerNode, dead []any, err error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = prefix + nodeKey + id
	}
	values, err := conn.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, nil, err
	}
	for i, value := range values {
		text, found := value.(string)
		if !found {
			dead = append(dead, ids[i])
			continue
		}
		var m peerNode
		if err := json.Unmarshal([]byte(text), &m); err != nil || m.ID != ids[i] {
			continue
		}
		nodes = append(nodes, m)
	}
	return nodes, dead, nil
}
