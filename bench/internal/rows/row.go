//go:build linux

package rows

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stoa-io/stoa/bench/internal/report"
)

// A Row is one question of the benchmark, answered with one or more results.
type Row struct {
	Name    string
	Title   string
	measure func(*Bench) ([]report.Result, error)
	// Cluster: the row has several nodes over Redis. The floor cannot take
	// their place.
	Cluster bool
}

var all = []Row{
	{Name: "idle", Title: "memory of an idle connection", measure: (*Bench).measureIdle},
	{Name: "one", Title: "a large room, one message at a time", measure: (*Bench).measureOne},
	{Name: "many", Title: "a large room, 64 messages outstanding", measure: (*Bench).measureMany},
	{Name: "setup", Title: "a connection from connect to close", measure: (*Bench).measureSetUp},
	{Name: "small", Title: "200 rooms of 10 members", measure: (*Bench).measureSmall},
	{Name: "join", Title: "joining and leaving", measure: (*Bench).measureJoin},
	{Name: "allocs", Title: "allocations for a message", measure: (*Bench).measureAllocations},
	{Name: "health", Title: "net/http next to busy loops", measure: (*Bench).measureHealth},
	{Name: "paced", Title: "50 messages a second into a room of 1,000", measure: (*Bench).measurePaced},
	{Name: "cluster", Title: "two nodes over Redis, a large room", measure: (*Bench).measureCluster, Cluster: true},
	{Name: "redis", Title: "5,000 rooms of two members on two nodes", measure: (*Bench).measureRedis, Cluster: true},
	{Name: "ask", Title: "asks answered by a handler", measure: (*Bench).measureAsk},
	{Name: "emit", Title: "emits handled", measure: (*Bench).measureEmit},
	{Name: "handler", Title: "handlers for idle connections", measure: (*Bench).measureIdleHandlers},
	{Name: "tokens", Title: "connections with JSON Web Tokens", measure: (*Bench).measureTokens},
	{Name: "history", Title: "a large room with history", measure: (*Bench).measureHistory},
}

// All returns all rows in order.
func All() []Row { return slices.Clone(all) }

// Number returns the row's number in docs/benchmarks.md.
func (r Row) Number() int {
	return 1 + slices.IndexFunc(all, func(other Row) bool { return other.Name == r.Name })
}

// Select returns the selected rows in order, without repetitions. The selection
// is "all", or numbers and names separated by commas.
func Select(selection string) ([]Row, error) {
	if selection == "all" {
		return All(), nil
	}
	chosen := make([]bool, len(all))
	for word := range strings.SplitSeq(selection, ",") {
		word = strings.TrimSpace(word)
		index := slices.IndexFunc(all, func(r Row) bool { return r.Name == word })
		if number, err := strconv.Atoi(word); err == nil {
			index = number - 1
		}
		if index < 0 || index >= len(all) {
			return nil, fmt.Errorf("-rows %q: no row %q; there are 1 to %d and %s", selection, word, len(all), names())
		}
		chosen[index] = true
	}
	var rows []Row
	for i, row := range all {
		if chosen[i] {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func names() string {
	names := make([]string, len(all))
	for i, row := range all {
		names[i] = row.Name
	}
	return strings.Join(names, ", ")
}
