package redisbroker

import (
	"cmp"
	"slices"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/rendezvous"
)

// A node that lacks one of the servers is alive on the others. So a message to
// a node takes a server on which the node is known, and the next one if it has
// reached no subscriber there.

// serversOf returns the servers for a message to a node, the best one first.
// Servers that are up come before those that are not, those that know the node
// before those that do not, and the rest is the order of the hash, so that
// usually all messages between two nodes take one server.
func (b *Broker) serversOf(channel, node string) []*server {
	type candidate struct {
		server    *server
		up, known bool
		score     uint64
	}
	hash := rendezvous.Hash(channel)
	all := make([]candidate, len(b.servers))
	for i, s := range b.servers {
		all[i] = candidate{s, s.up(), s.registry.has(node), rendezvous.Score(b.seeds[i], hash)}
	}
	slices.SortFunc(all, func(x, y candidate) int {
		return cmp.Or(-compareBool(x.up, y.up), -compareBool(x.known, y.known), -cmp.Compare(x.score, y.score))
	})
	servers := make([]*server, 0, len(all))
	for i, c := range all {
		// A queue of a server that is not up would only delay the outcome.
		if i == 0 || c.up {
			servers = append(servers, c.server)
		}
	}
	return servers
}

func compareBool(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return 1
	}
	return -1
}

// has reports whether a server knows a node, in any incarnation.
func (r *registry) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, found := r.nodes[id]
	return found
}

// inboxMessage is a message to a node on its way from server to server.
type inboxMessage struct {
	channel  string
	envelope cluster.Envelope
	servers  []*server // that have not been tried
	done     func(nodes int, err error)
}

// publish queues the message at the next server. It may run on the goroutine of
// the previous server's publisher.
func (m *inboxMessage) publish() {
	s := m.servers[0]
	m.servers = m.servers[1:]
	if err := s.push(m.channel, &m.envelope, false, m.published); err != nil {
		m.published(0, err)
	}
}

func (m *inboxMessage) published(nodes int, err error) {
	if err == nil && nodes == 0 && len(m.servers) > 0 {
		m.publish()
		return
	}
	m.done(nodes, err)
}
