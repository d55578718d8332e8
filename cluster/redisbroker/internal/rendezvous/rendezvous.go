package rendezvous

// FNV-1a and the finalizer of splitmix64 are small, and the same on every
// machine. The finalizer is needed because FNV alone hardly mixes the last
// bytes into the high bits, which decide a comparison.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// Hash is the hash of a server's identity or of a channel.
func Hash(text string) uint64 {
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

// Score is that of a server for a channel, by their hashes.
func Score(server, channel uint64) uint64 { return mix(channel ^ mix(server)) }

// Choose returns the index of the server that has the channel. usable may
// exclude servers; if it excludes all of them, or is nil, all count. servers
// are the hashes of their identities.
func Choose(servers []uint64, channel string, usable func(server int) bool) int {
	if len(servers) == 1 {
		return 0
	}
	hash := Hash(channel)
	best, bestScore := -1, uint64(0)
	for i, server := range servers {
		if usable != nil && !usable(i) {
			continue
		}
		if s := Score(server, hash); best < 0 || s > bestScore {
			best, bestScore = i, s
		}
	}
	if best < 0 {
		return Choose(servers, channel, nil)
	}
	return best
}
