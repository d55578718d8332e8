package auth

import "slices"

// maxTries bounds the signature checks of one token. A token with the kid of a
// key needs one.
const maxTries = 4

// keySet is an immutable set of keys.
type keySet struct {
	byID map[string][]verifier
	all  []verifier
}

func newKeySet(all []verifier) *keySet {
	s := &keySet{byID: make(map[string][]verifier, len(all)), all: all}
	for i := range all {
		s.byID[all[i].id] = append(s.byID[all[i].id], all[i])
	}
	return s
}

// allows reports whether a key of the set is for the algorithm.
func (s *keySet) allows(algorithm string) bool {
	return slices.ContainsFunc(s.all, func(v verifier) bool { return slices.Contains(v.algorithms, algorithm) })
}

// hasID reports whether a key has the ID.
func (s *keySet) hasID(id string) bool { return id != "" && len(s.byID[id]) > 0 }

// withID returns the keys for the algorithm that have the ID.
func (s *keySet) withID(id, algorithm string) []any {
	return allowed(s.byID[id], algorithm)
}

// withAnyID returns all keys for the algorithm.
func (s *keySet) withAnyID(algorithm string) []any { return allowed(s.all, algorithm) }

func allowed(from []verifier, algorithm string) []any {
	var keys []any
	for i := range from {
		if slices.Contains(from[i].algorithms, algorithm) {
			keys = append(keys, from[i].material)
		}
	}
	return keys
}
