//go:build unix

package connect

import (
	"os"
	"os/signal"
	"syscall"
)

// onResize calls handle after every resize of the terminal, until stop is
// called.
func onResize(handle func()) (stop func()) {
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGWINCH)
	go func() {
		for {
			select {
			case <-signals:
				handle()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}
