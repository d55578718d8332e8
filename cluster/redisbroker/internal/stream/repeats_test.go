package stream_test

import (
	"slices"
	"testing"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/stream"
)

// TestRepeatOfTrimmedOriginal: an entry that may be the repeat of a message
// which the stream has trimmed is at a place where clients have not received
// it. So neither its position tells what a client has, nor an older one.
func TestRepeatOfTrimmedOriginal(t *testing.T) {
	entry := func(kind stream.Kind, incarnation, number uint64) stream.Entry {
		return stream.Entry{Kind: kind, Position: cluster.Position{Incarnation: incarnation, Number: number}, Size: 1}
	}
	trimmed := []stream.Entry{
		entry(stream.Message, 2, 7), entry(stream.Again, 1, 4), entry(stream.Again, 1, 5), entry(stream.Message, 2, 8), entry(stream.Message, 1, 6),
	}
	// It would be behind the one before.
	certain := append([]stream.Entry{entry(stream.Message, 1, 3)}, trimmed...)
	// The original is there.
	repeat := append([]stream.Entry{entry(stream.Message, 1, 5)}, trimmed...)
	for _, c := range []struct {
		name    string
		entries []stream.Entry
		kept    int
		found   map[cluster.Position]bool
	}{
		{"trimmed", trimmed, len(trimmed), map[cluster.Position]bool{
			{Incarnation: 2, Number: 7}: false, {Incarnation: 1, Number: 4}: false, {Incarnation: 1, Number: 5}: false,
			{Incarnation: 2, Number: 8}: true, {Incarnation: 1, Number: 6}: true,
		}},
		{"not trimmed", trimmed, len(trimmed) + 1, map[cluster.Position]bool{
			{Incarnation: 2, Number: 7}: true, {Incarnation: 1, Number: 4}: true, {Incarnation: 1, Number: 5}: true,
		}},
		{"certain", certain, len(certain), map[cluster.Position]bool{
			{Incarnation: 2, Number: 7}: true, {Incarnation: 1, Number: 4}: true, {Incarnation: 1, Number: 5}: true,
		}},
		{"repeat", repeat, len(repeat), map[cluster.Position]bool{
			{Incarnation: 2, Number: 7}: true, {Incarnation: 1, Number: 5}: true, {Incarnation: 1, Number: 4}: false,
		}},
	} {
		var repeats stream.Repeats
		for i := range c.entries {
			c.entries[i].ID = stream.ID{Time: uint64(10 + i)}
		}
		backward := slices.Clone(c.entries)
		slices.Reverse(backward)
		for i := range backward {
			repeats.Add(&backward[i])
		}
		for i := range backward {
			repeats.Resolve(&backward[i], c.kept)
		}
		for position, found := range c.found {
			s := stream.NewSelection(cluster.HistoryQuery{Retention: roomy, Limit: 10, After: position}, 20, 0)
			for i := range backward {
				if !s.Add(&backward[i]) {
					break
				}
			}
			if s.Found() != found {
				t.Errorf("%s: after %v: found %v, want %v", c.name, position, s.Found(), found)
			}
		}
	}
}
