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
}

var allRows = []row{
	{"idle", "memory of an idle connection", (*controller).measureIdle},
	{"one", "a large room, one message at a time", (*controller).measureOne},
	{"many", "a large room, 64 messages outstanding", (*controller).measureMany},
	{"setup", "a connection from connect to close", (*controller).measureSetUp},
	{"small", "200 rooms of 10 members", (*controller).measureSmall},
	{"join", "joining and leaving", (*controller).measureJoin},
	{"allocs", "allocations for a message", (*controller).measureAllocations},
	{"health", "net/http beside busy loops", (*controller).measureHealth},
	{"paced", "50 messages a second into a room of 1,000", (*controller).measurePaced},
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
