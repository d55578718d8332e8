package redisbroker

import (
	"cmp"
	"slices"

	"github.com/stoa-io/stoa/cluster"
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
	hash := hashString(channel)
	all := make([]candidate, len(b.servers))
	for i, s := range b.servers {
		all[i] = candidate{s, s.up(), s.registry.has(node), score(b.seeds[i], hash)}
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

// Rendezvous hashing: every server has a score for a channel, and the server
// with the highest score has the channel. All nodes compute the same result
// without talking. An added server takes its share evenly from the others, and
// no other channel moves.

// FNV-1a and the finalizer of splitmix64 are small, and the same on every
// machine. The finalizer is needed because FNV alone hardly mixes the last
// bytes into the high bits, which decide a comparison.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func hashString(text string) uint64 {
	hash := uint64(fnvOffset)
	for i := range len(text) {
		hash = (hash ^ uint64(text[i])) * fnvPrime
	}
	return hash
}

func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// score is that of a server for a channel, by their hashes.
func score(seed, channel uint64) uint64 { return mix(channel ^ mix(seed)) }

// rendezvous returns the index of the server that has the channel. usable may
// exclude servers; if it excludes all of them, or is nil, all count. seeds are
// the hashes of the servers' identities.
func rendezvous(seeds []uint64, channel string, usable func(server int) bool) int {
	if len(seeds) == 1 {
		return 0
	}
	hash := hashString(channel)
	best, bestScore := -1, uint64(0)
	for i, seed := range seeds {
		if usable != nil && !usable(i) {
			continue
		}
		if s := score(seed, hash); best < 0 || s > bestScore {
			best, bestScore = i, s
		}
	}
	if best < 0 {
		return rendezvous(seeds, channel, nil)
	}
	return best
}
