//go:build linux

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A row is one question that the benchmark answers with one or more lines.
type row struct {
	name    string
	title   string
	measure func(*controller) ([]line, error)
	// cluster: several nodes over Redis, which the floor cannot stand in for.
	cluster bool
}

var allRows = []row{
	{name: "idle", title: "memory of an idle connection", measure: (*controller).measureIdle},
	{name: "one", title: "a large room, one message at a time", measure: (*controller).measureOne},
	{name: "many", title: "a large room, 64 messages outstanding", measure: (*controller).measureMany},
	{name: "setup", title: "a connection from connect to close", measure: (*controller).measureSetUp},
	{name: "small", title: "200 rooms of 10 members", measure: (*controller).measureSmall},
	{name: "join", title: "joining and leaving", measure: (*controller).measureJoin},
	{name: "allocs", title: "allocations for a message", measure: (*controller).measureAllocations},
	{name: "health", title: "net/http beside busy loops", measure: (*controller).measureHealth},
	{name: "paced", title: "50 messages a second into a room of 1,000", measure: (*controller).measurePaced},
	{name: "cluster", title: "two nodes over Redis, a large room", measure: (*controller).measureCluster, cluster: true},
	{name: "redis", title: "5,000 rooms of two members on two nodes", measure: (*controller).measureRedis, cluster: true},
	{name: "ask", title: "asks answered by a handler", measure: (*controller).measureAsk},
	{name: "emit", title: "emits handled", measure: (*controller).measureEmit},
	{name: "handler", title: "handlers for idle connections", measure: (*controller).measureIdleHandlers},
}

// number of the row in the documentation.
func (r row) number() int {
	return 1 + slices.IndexFunc(allRows, func(other row) bool { return other.name == r.name })
}

// selectRows understands "all" and numbers and names separated by commas; rows
// are measured in their own order, each once.
func selectRows(selection string) ([]row, error) {
	if selection == "all" {
		return slices.Clone(allRows), nil
	}
	chosen := make([]bool, len(allRows))
	for word := range strings.SplitSeq(selection, ",") {
		word = strings.TrimSpace(word)
		index := slices.IndexFunc(allRows, func(r row) bool { return r.name == word })
		if number, err := strconv.Atoi(word); err == nil {
			index = number - 1
		}
		if index < 0 || index >= len(allRows) {
			return nil, fmt.Errorf("-rows %q: no row %q; there are 1 to %d and %s", selection, word, len(allRows), rowNames())
		}
		chosen[index] = true
	}
	var rows []row
	for i, row := range allRows {
		if chosen[i] {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func rowNames() string {
	names := make([]string, len(allRows))
	for i, row := range allRows {
		names[i] = row.name
	}
	return strings.Join(names, ", ")
}
