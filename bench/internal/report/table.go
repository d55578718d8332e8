package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A Heading names a row of the benchmark.
type Heading struct {
	Number int
	Name   string
	Title  string
}

// WriteRow prints the results of one row as a table of its own, so one row can
// be read while the next is being measured.
func WriteRow(w io.Writer, h Heading, results []Result, markdown bool) {
	cells := [][]string{columns}
	var notes []string
	for i := range results {
		cells = append(cells, results[i].cells())
		if err := results[i].Err; err != nil {
			notes = append(notes, "FAILED: "+err.Error())
		}
		notes = append(notes, results[i].Notes...)
	}
	if markdown {
		fmt.Fprintf(w, "### %d. %s\n\n", h.Number, h.Title)
		writeMarkdown(w, cells)
		for _, note := range notes {
			fmt.Fprintf(w, "\n%s\n", strings.ReplaceAll(strings.TrimSpace(note), "\n", " "))
		}
		fmt.Fprintln(w)
		return
	}
	fmt.Fprintf(w, "%d. %s (%s)\n", h.Number, h.Title, h.Name)
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
	// Minimum widths align the columns of successive tables.
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
