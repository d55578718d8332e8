//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/stoa-io/stoa/bench/internal/rows"
)

// options are the flags of one run. docs/benchmarks.md describes the defaults.
type options struct {
	rows     []rows.Row
	bench    rows.Bench
	stoa     string // an executable; empty: build one
	markdown bool
	limit    time.Duration
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: go run ./bench [flags]\n\nMeasures a Stoa node against a bare epoll loop (docs/benchmarks.md).\n\nRows:\n")
		for i, row := range rows.All() {
			fmt.Fprintf(stderr, "  %d %-8s %s\n", i+1, row.Name, row.Title)
		}
		fmt.Fprint(stderr, "\nFlags:\n")
		flags.PrintDefaults()
	}
	selection := flags.String("rows", "all", "rows to measure: numbers or names, separated by commas")
	quick := flags.Bool("quick", false, "do one short run of each row with fewer idle connections, as a smoke test")
	flags.IntVar(&o.bench.Runs, "runs", 3, "runs of each row; the report shows the median")
	flags.DurationVar(&o.bench.Window, "window", time.Second, "length of one run")
	flags.IntVar(&o.bench.Idle, "idle", 15000, "idle connections in row 1")
	flags.IntVar(&o.bench.Members, "members", 2000, "members of the large room in rows 2, 3 and 7")
	flags.DurationVar(&o.bench.IdleCPU, "idle-cpu", 0, "also measure the CPU time of the idle connections for this long; use at least a minute, as the node pings every 25 s")
	flags.BoolVar(&o.markdown, "markdown", false, "print Markdown")
	flags.BoolVar(&o.bench.Control, "control", false, "measure the floor in stoa's place: every deviation of a ratio from 1 is noise; skips the rows with several nodes")
	flags.StringVar(&o.stoa, "stoa", "", "measure this stoa executable instead of building one")
	flags.StringVar(&o.bench.Transport, "transport", "", "transport of the node, like stoa's flag of that name")
	flags.DurationVar(&o.limit, "limit", 8*time.Minute, "stop after this long")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *quick {
		o.bench.Runs, o.bench.Window, o.bench.Idle = 1, 300*time.Millisecond, 3000
	}
	switch {
	case o.bench.Runs < 1 || o.bench.Runs > 20:
		return o, fmt.Errorf("-runs %d: want 1 to 20", o.bench.Runs)
	case o.bench.Window < 100*time.Millisecond || o.bench.Window > 20*time.Second:
		return o, fmt.Errorf("-window %v: want 100ms to 20s", o.bench.Window)
	case o.bench.Idle < 100 || o.bench.Idle > rows.MaxConnections:
		return o, fmt.Errorf("-idle %d: want 100 to %d", o.bench.Idle, rows.MaxConnections)
	case o.bench.Members < 10 || o.bench.Members > 15000:
		return o, fmt.Errorf("-members %d: want 10 to 15000", o.bench.Members)
	case o.bench.IdleCPU < 0 || o.bench.IdleCPU > 5*time.Minute:
		return o, fmt.Errorf("-idle-cpu %v: want 0 to 5m", o.bench.IdleCPU)
	case o.limit < time.Second || o.limit > time.Hour:
		return o, fmt.Errorf("-limit %v: want 1s to 1h", o.limit)
	}
	var err error
	if o.rows, err = rows.Select(*selection); err != nil || !o.bench.Control {
		return o, err
	}
	o.rows = slices.DeleteFunc(o.rows, func(r rows.Row) bool { return r.Cluster })
	if len(o.rows) == 0 {
		err = errors.New("-control: none of the selected rows can use the floor")
	}
	return o, err
}
