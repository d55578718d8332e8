package memlimit

import (
	"math"
	"runtime/debug"
)

// Total returns the bytes of memory that this process may use; zero means
// unknown. It is the minimum of the machine's memory, the limits of the control
// groups of versions 1 and 2, and GOMEMLIMIT.
func Total() uint64 {
	total := systemTotal()
	if soft := debug.SetMemoryLimit(-1); soft != math.MaxInt64 && (total == 0 || uint64(soft) < total) {
		total = uint64(soft)
	}
	return total
}
