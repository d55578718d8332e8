//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"
)

// Options of one run. The defaults are what docs/benchmarks.md describes.
type options struct {
	rows      []row
	runs      int
	window    time.Duration
	idle      int
	members   int
	idleCPU   time.Duration
	markdown  bool
	control   bool
	stoa      string
	transport string
	limit     time.Duration
}

const maxConnections = 60000

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: go run ./bench [flags]\n\nMeasures a Stoa node beside a bare epoll loop (docs/benchmarks.md).\n\nRows:\n")
		for i, row := range allRows {
			fmt.Fprintf(stderr, "  %d %-8s %s\n", i+1, row.name, row.title)
		}
		fmt.Fprint(stderr, "\nFlags:\n")
		flags.PrintDefaults()
	}
	selection := flags.String("rows", "all", "rows to measure, numbers or names separated by commas")
	quick := flags.Bool("quick", false, "one short run of each row with fewer idle connections: shows that it works, not how fast")
	flags.IntVar(&o.runs, "runs", 3, "runs of each row; the median is printed")
	flags.DurationVar(&o.window, "window", time.Second, "length of one run")
	flags.IntVar(&o.idle, "idle", 15000, "idle connections in row 1")
	flags.IntVar(&o.members, "members", 2000, "members of the large room in rows 2, 3 and 7")
	flags.DurationVar(&o.idleCPU, "idle-cpu", 0, "also measure the CPU time of the idle connections for this long; use a minute, a connection is pinged every 25 s")
	flags.BoolVar(&o.markdown, "markdown", false, "print Markdown")
	flags.BoolVar(&o.control, "control", false, "let the floor take stoa's place: every ratio has to be near 1, what it is away from 1 is noise; without the rows about clusters")
	flags.StringVar(&o.stoa, "stoa", "", "measure this stoa program instead of building one")
	flags.StringVar(&o.transport, "transport", "", "transport of the node, as stoa's flag of that name")
	flags.DurationVar(&o.limit, "limit", 8*time.Minute, "give up after this long")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *quick {
		o.runs, o.window, o.idle = 1, 300*time.Millisecond, 3000
	}
	switch {
	case o.runs < 1 || o.runs > 20:
		return o, fmt.Errorf("-runs %d: want 1 to 20", o.runs)
	case o.window < 100*time.Millisecond || o.window > 20*time.Second:
		return o, fmt.Errorf("-window %v: want 100ms to 20s", o.window)
	case o.idle < 100 || o.idle > maxConnections:
		return o, fmt.Errorf("-idle %d: want 100 to %d", o.idle, maxConnections)
	case o.members < 10 || o.members > 15000:
		return o, fmt.Errorf("-members %d: want 10 to 15000", o.members)
	case o.idleCPU < 0 || o.idleCPU > 5*time.Minute:
		return o, fmt.Errorf("-idle-cpu %v: want 0 to 5m", o.idleCPU)
	case o.limit < time.Second || o.limit > time.Hour:
		return o, fmt.Errorf("-limit %v: want 1s to 1h", o.limit)
	}
	var err error
	if o.rows, err = selectRows(*selection); err != nil || !o.control {
		return o, err
	}
	o.rows = slices.DeleteFunc(o.rows, func(r row) bool { return r.cluster })
	if len(o.rows) == 0 {
		err = errors.New("-control: the floor is no cluster")
	}
	return o, err
}
