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
)

func main() {
	// Children are to end with this process: see startProcess.
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
			return runClient(os.Stdin, os.Stdout)
		case "floor":
			return runFloor(os.Stdout)
		case "handlers":
			return runHandlers(args[1:], os.Stdout)
		case "exchange":
			return runExchange(args[1:], os.Stdout)
		case "probe":
			return runProbe(args[1:], os.Stdout)
		}
	}
	return run(args, os.Stdout, os.Stderr)
}

// endOnSignal ends this process when a signal comes or the limit has passed; the
// kernel then ends its children. The function it returns calls this off.
func endOnSignal(dir string, limit time.Duration, stderr io.Writer) (callOff func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		select {
		case <-done:
			return
		case got := <-signals:
			fmt.Fprintln(stderr, "bench: ended by", got)
		case <-time.After(limit):
			fmt.Fprintln(stderr, "bench: not done after", limit)
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
