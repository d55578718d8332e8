package redisbroker

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
