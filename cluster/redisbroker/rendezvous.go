package redisbroker

// Rendezvous hashing: every server has a score for a channel, and the highest one
// has the channel. All nodes come to the same result without talking, and a server
// that is added takes its share evenly from the others, nothing else moves.

// FNV-1a and the finaliser of splitmix64: small, and the same on every machine.
// The finaliser is needed, as FNV alone hardly mixes the last bytes into the high
// bits that decide a comparison.
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

// rendezvous returns the index of the server that has the channel. usable may rule
// servers out; if it rules out all, they all count. Nil: all count. seeds are the
// hashes of the servers' identities.
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
		if score := mix(hash ^ mix(seed)); best < 0 || score > bestScore {
			best, bestScore = i, score
		}
	}
	if best < 0 {
		return rendezvous(seeds, channel, nil)
	}
	return best
}
