//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// writeRow prints the lines of a row as a table of its own, so that a row can be
// read while the next is still measured.
func writeRow(w io.Writer, number int, r row, lines []line, markdown bool) {
	cells := [][]string{columns}
	var notes []string
	for i := range lines {
		cells = append(cells, lines[i].cells())
		if err := lines[i].failed; err != nil {
			notes = append(notes, "FAILED: "+err.Error())
		}
		notes = append(notes, lines[i].notes...)
	}
	if markdown {
		fmt.Fprintf(w, "### %d. %s\n\n", number, r.title)
		writeMarkdown(w, cells)
		for _, note := range notes {
			fmt.Fprintf(w, "\n%s\n", strings.ReplaceAll(strings.TrimSpace(note), "\n", " "))
		}
		fmt.Fprintln(w)
		return
	}
	fmt.Fprintf(w, "%d. %s (%s)\n", number, r.title, r.name)
	writeText(w, cells)
	for _, note := range notes {
		fmt.Fprintf(w, "   %s\n", strings.ReplaceAll(strings.TrimSpace(note), "\n", "\n   "))
	}
	fmt.Fprintln(w)
}

func writeMarkdown(w io.Writer, cells [][]string) {
	for i, row := range cells {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|---%s|\n", strings.Repeat("|---:", len(row)-1))
		}
	}
}

func writeText(w io.Writer, cells [][]string) {
	// Rows keep their columns under one another from table to table.
	widths := []int{46, 14, 26, 12, 10, 14, 6}
	for _, row := range cells {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range cells {
		var b strings.Builder
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString("   " + cell + padding)
			} else {
				b.WriteString("  " + padding + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}
