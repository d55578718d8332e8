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

	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/bench/internal/rig"
	"github.com/stoa-io/stoa/bench/internal/rows"
	"github.com/stoa-io/stoa/internal/load/protocol"
)

// errFailed is returned when at least one row has failed. The tables say why.
var errFailed = errors.New("at least one row failed")

// run measures the rows that args select and prints their results.
func run(args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	available, err := rig.Affinity()
	if err != nil {
		return err
	}
	cpus := available.List()
	if len(cpus) < 2 {
		return fmt.Errorf("needs two CPUs, one for the server and one for the load; this process may use %v", available)
	}
	dir, err := os.MkdirTemp("", "stoa-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defer exitOnSignal(dir, o.limit, stderr)()

	o.bench.Dir, o.bench.ServerCPU, o.bench.LoadCPU = dir, rig.CPUSetOf(cpus[0]), rig.CPUSetOf(cpus[1])
	o.bench.Stoa = o.stoa
	if o.stoa == "" && !o.bench.Control {
		if o.bench.Stoa, err = rig.BuildStoa(dir); err != nil {
			return err
		}
	}
	describe(stdout, &o)
	start := time.Now()
	failed := false
	for _, r := range o.rows {
		results := measure(&o.bench, r)
		report.WriteRow(stdout, report.Heading{Number: r.Number(), Name: r.Name, Title: r.Title}, results, o.markdown)
		failed = failed || results[len(results)-1].Err != nil
	}
	fmt.Fprintf(stdout, "measured in %v\n", time.Since(start).Round(time.Second))
	if failed {
		return errFailed
	}
	return nil
}

// quiet is the percentage of the CPUs that others may use before a row is
// marked. Above it, rates depend more on them than on the server.
const quiet = 3

// measure returns the results of a row. The last one says whether the row has
// failed, and notes if the machine was not quiet.
func measure(b *rows.Bench, r rows.Row) []report.Result {
	before, err := readMachine()
	if err != nil {
		return []report.Result{{Name: r.Title, Err: err}}
	}
	results := b.Measure(r)
	last := &results[len(results)-1]
	if last.Err != nil {
		return results
	}
	after, err := readMachine()
	if err != nil {
		return append(results, report.Result{Name: r.Title, Err: err})
	}
	if others, stolen := before.between(after); others+stolen > quiet {
		last.Notes = append(last.Notes, fmt.Sprintf(
			"NOT QUIET: other programs took %.0f %% of the CPUs, other virtual machines %.0f %%; do not trust rates and latencies", others, stolen))
	}
	return results
}

// describe prints the subject of the measurement and the machine.
func describe(w io.Writer, o *options) {
	commit := "unknown commit"
	if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	what := "stoa " + commit
	if o.stoa != "" {
		what = o.stoa
	}
	if o.bench.Control {
		what = "the floor in stoa's place"
	}
	item := ""
	if o.markdown {
		item = "- "
	}
	b := &o.bench
	fmt.Fprintf(w, "%s%s, %s, %s\n", item, what, runtime.Version(), machineName())
	fmt.Fprintf(w, "%sserver and floor pinned to %v, the load to %v; %d-byte bodies\n", item, b.ServerCPU, b.LoadCPU, protocol.BodySize)
	fmt.Fprintf(w, "%smedians of %d runs of %v; the ratio is the median of the ratios of neighboring runs\n\n", item, b.Runs, b.Window)
}
