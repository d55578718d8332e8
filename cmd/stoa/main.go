package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

func main() {
	os.Exit(run(new(signals), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes the command line and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return cli.Run(ctx, newRootCommand(), args, stdin, stdout, stderr)
}

// signals is a context that SIGINT or SIGTERM ends, from the first time on that
// something watches it. Until then a signal ends the process, as it must for a
// command that watches no context.
type signals struct {
	once sync.Once
	ctx  context.Context // set by once
}

func (s *signals) watch() context.Context {
	s.once.Do(func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		// Once the drain has begun, a second signal ends the process.
		context.AfterFunc(ctx, stop)
		s.ctx = ctx
	})
	return s.ctx
}

// Done implements context.Context.
func (s *signals) Done() <-chan struct{} { return s.watch().Done() }

// Err implements context.Context.
func (s *signals) Err() error { return s.watch().Err() }

// Deadline implements context.Context: there is none.
func (s *signals) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Value implements context.Context: it watches nothing.
func (s *signals) Value(any) any { return nil }
