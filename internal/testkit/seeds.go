package testkit

import (
	"os"
	"strconv"
	"testing"
)

// Seeds returns the seeds of a simulation: those from first up to end,
// exclusive, which are count ones. STOA_SEEDS in the environment is another
// number of them. With STOA_SEED it is that one seed, and replays is true: the
// simulation shows its steps.
func Seeds(t testing.TB, count uint64) (first, end uint64, replays bool) {
	t.Helper()
	number := func(name string) (value uint64, given bool) {
		text := os.Getenv(name)
		if text == "" {
			return 0, false
		}
		value, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s=%q: want a number", name, text)
		}
		return value, true
	}
	if seed, given := number("STOA_SEED"); given {
		return seed, seed + 1, true
	}
	if other, given := number("STOA_SEEDS"); given {
		count = other
	}
	if count == 0 {
		t.Fatal("STOA_SEEDS=0: want at least one seed")
	}
	return 0, count, false
}
