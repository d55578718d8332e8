package serve

import (
	"os"
	"os/signal"
	"syscall"
)

// catchSignals keeps the process alive in two cases that end other processes: a
// hang-up, which it returns, and a write to a log pipe whose reader has ended,
// which then fails and loses the line. SIGPIPE stays ignored; stop ends the
// rest.
func catchSignals() (hangups <-chan os.Signal, stop func()) {
	signal.Ignore(syscall.SIGPIPE)
	caught := make(chan os.Signal, 1) // those during a reload are one
	signal.Notify(caught, syscall.SIGHUP)
	return caught, func() { signal.Stop(caught) }
}
