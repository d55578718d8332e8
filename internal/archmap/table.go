package archmap

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Page is the file with the map, relative to the top of the module.
const Page = "ARCHITECTURE.md"

// Group is the heading above a table of the map.
type Group string

// The groups of packages; every table of the map is one of them.
const (
	Public   Group = "Public packages"
	Internal Group = "Internal packages"
	Programs Group = "Programs"
	Tests    Group = "For tests"
	Other    Group = "Other folders"
)

// Row is one row of the map.
type Row struct {
	Line    int
	Group   Group
	Names   []string // paths, without a slash at the end
	What    string
	Imports []string // as written; empty for folders without Go packages
}

// Go reports whether the row is about Go packages.
func (r *Row) Go() bool {
	return len(r.Imports) != 0
}

// ReadPage reads the rows of the map from ARCHITECTURE.md.
func ReadPage(top string) ([]*Row, error) {
	page, err := os.ReadFile(filepath.Join(top, Page))
	if err != nil {
		return nil, err
	}
	return parseRows(string(page))
}

// parseRows reads the tables in the section "The map" of a page.
func parseRows(page string) ([]*Row, error) {
	var (
		rows   []*Row
		inside bool
		group  Group
	)
	for i, line := range strings.Split(page, "\n") {
		switch {
		case strings.HasPrefix(line, "## "):
			inside = line == "## The map"
		case !inside:
		case strings.HasPrefix(line, "### "):
			group = Group(strings.TrimPrefix(line, "### "))
		case strings.HasPrefix(line, "|") && group.valid():
			row, err := parseRow(line)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", Page, i+1, err)
			}
			if row != nil {
				row.Line, row.Group = i+1, group
				rows = append(rows, row)
			}
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s has no map", Page)
	}
	return rows, nil
}

func (g Group) valid() bool {
	switch g {
	case Public, Internal, Programs, Tests, Other:
		return true
	}
	return false
}

// parseRow reads one line of a table. It returns nil for the head of the table.
func parseRow(line string) (*Row, error) {
	cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
	if len(cells) != 3 {
		return nil, fmt.Errorf("the row has %d cells, want 3", len(cells))
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	if cells[0] == "where" || strings.HasPrefix(cells[0], "--") {
		return nil, nil
	}
	row := &Row{What: cells[1]}
	for _, name := range list(cells[0]) {
		row.Names = append(row.Names, strings.TrimSuffix(name, "/"))
	}
	row.Imports = list(cells[2])
	if len(row.Names) == 0 || row.What == "" {
		return nil, fmt.Errorf("the row has an empty cell")
	}
	return row, nil
}

// list splits a cell at its commas.
func list(cell string) []string {
	var items []string
	for item := range strings.SplitSeq(strings.ReplaceAll(cell, "`", ""), ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
