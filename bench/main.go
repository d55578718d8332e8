//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/stoa-io/stoa/bench/internal/exchange"
	"github.com/stoa-io/stoa/bench/internal/floor"
	"github.com/stoa-io/stoa/bench/internal/handlers"
	"github.com/stoa-io/stoa/bench/internal/probe"
	"github.com/stoa-io/stoa/internal/load"
)

func main() {
	// Child processes die with this thread: see rig.Start.
	runtime.LockOSThread()
	err := dispatch(os.Args[1:])
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func dispatch(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "client":
			return load.Serve(os.Stdin, os.Stdout)
		case "floor":
			return floor.Run(os.Stdout)
		case "handlers":
			return handlers.Run(args[1:], os.Stdout)
		case "exchange":
			return exchange.Run(args[1:], os.Stdout)
		case "probe":
			return probe.Run(args[1:], os.Stdout)
		}
	}
	return run(args, os.Stdout, os.Stderr)
}

// exitOnSignal exits on a signal or after the limit, and removes dir. The
// kernel then kills the child processes. The returned function cancels this.
func exitOnSignal(dir string, limit time.Duration, stderr io.Writer) (cancel func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		select {
		case <-done:
			return
		case got := <-signals:
			fmt.Fprintln(stderr, "bench: received", got)
		case <-time.After(limit):
			fmt.Fprintln(stderr, "bench: not finished after", limit)
		}
		os.RemoveAll(dir)
		os.Exit(1)
	})
	return func() {
		signal.Stop(signals)
		close(done)
		group.Wait()
	}
}
