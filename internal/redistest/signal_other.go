//go:build !unix

package redistest

import "os"

// Where there is no SIGSTOP, Pause fails the test: os.Process refuses the
// signal.
var pauseSignal, resumeSignal = os.Interrupt, os.Interrupt
