package similar

import "strings"

// Words returns the words that may be meant by a mistyped one: those at most
// two edits away, or that it begins.
func Words(word string, known []string) []string {
	var similar []string
	for _, k := range known {
		begins := len(word) > 1 && strings.HasPrefix(k, word)
		if begins || min(len(word), len(k)) > 2 && distance(word, k) <= 2 {
			similar = append(similar, k)
		}
	}
	return similar
}

// distance is the number of insertions, deletions and replacements of bytes
// that turn a into b. A swap of neighbors counts as one.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
