//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// A controller measures rows one after the other.
type controller struct {
	options   options
	stoa      string // the program
	dir       string // removed at the end
	serverCPU cpuSet
	loadCPU   cpuSet
}

// errFailed: at least one row has failed and said so in the table.
var errFailed = errors.New("at least one row failed")

// run measures the rows that args name and prints them.
func run(args []string, stdout, stderr io.Writer) error {
	options, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	available, err := affinity()
	if err != nil {
		return err
	}
	cpus := available.list()
	if len(cpus) < 2 {
		return fmt.Errorf("needs two CPUs, one for the server and one for the load; this process may use %v", available)
	}
	dir, err := os.MkdirTemp("", "stoa-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defer endOnSignal(dir, options.limit, stderr)()

	c := &controller{options: options, stoa: options.stoa, dir: dir,
		serverCPU: cpuSetOf(cpus[0]), loadCPU: cpuSetOf(cpus[1])}
	if c.stoa == "" && !options.control {
		if c.stoa, err = buildStoa(dir); err != nil {
			return err
		}
	}
	c.describe(stdout)
	start := time.Now()
	failed := false
	for _, r := range options.rows {
		lines := c.measure(r)
		writeRow(stdout, r.number(), r, lines, options.markdown)
		failed = failed || lines[len(lines)-1].failed != nil
	}
	fmt.Fprintf(stdout, "measured in %v\n", time.Since(start).Round(time.Second))
	if failed {
		return errFailed
	}
	return nil
}

// quiet is the part of the CPUs, in per cent, that others may take before a row is
// marked: above it rates say more about them than about the server.
const quiet = 3

// measure returns the lines of a row; the last one says if the row has failed.
func (c *controller) measure(r row) []line {
	before, err := readMachine()
	if err != nil {
		return []line{{name: r.title, failed: err}}
	}
	lines, err := r.measure(c)
	if err != nil {
		return append(lines, line{name: r.title, failed: err})
	}
	after, err := readMachine()
	if err != nil {
		return append(lines, line{name: r.title, failed: err})
	}
	last := &lines[len(lines)-1]
	if others, stolen := before.between(after); others+stolen > quiet {
		last.notes = append(last.notes, fmt.Sprintf(
			"NOT QUIET: other programs took %.0f %% of the CPUs, other virtual machines %.0f %%; do not trust rates and latencies", others, stolen))
	}
	return lines
}

// describe prints on what and how it is measured.
func (c *controller) describe(w io.Writer) {
	commit := "unknown commit"
	if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	what := "stoa " + commit
	if c.options.stoa != "" {
		what = c.options.stoa
	}
	if c.options.control {
		what = "the floor in stoa's place"
	}
	item := ""
	if c.options.markdown {
		item = "- "
	}
	fmt.Fprintf(w, "%s%s, %s, %s\n", item, what, runtime.Version(), machineName())
	fmt.Fprintf(w, "%sserver and floor pinned to %v, the load to %v; %d-byte bodies\n", item, c.serverCPU, c.loadCPU, bodySize)
	fmt.Fprintf(w, "%smedians of %d runs of %v; the ratio is the median of the ratios of neighbouring runs\n\n", item, c.options.runs, c.options.window)
}
