package serve

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// surviveSignals keeps the node alive in two cases that end other processes: a
// hang-up, which tools send to have a configuration read again, and a write to
// a log pipe whose reader has ended, which then fails and loses the line.
// SIGPIPE stays ignored; stop ends the rest.
func surviveSignals(logger *slog.Logger) (stop func()) {
	signal.Ignore(syscall.SIGPIPE)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-hangups:
				logger.Info("SIGHUP ignored: flags are read at the start only, changed certificate files without a signal")
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(done)
		<-ended
	}
}
