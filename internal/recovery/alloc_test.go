//go:build !race

package recovery

import "testing"

// TestAllocations: a message in a room with history costs its copy, and nothing
// else.
func TestAllocations(t *testing.T) {
	for name, bytes := range map[string]int{"room": 64 << 20, "room that is too large": stripes * 5000} {
		t.Run(name, func(t *testing.T) {
			if got := testing.AllocsPerRun(10_000, busy(t, 10, bytes)); got != 1 {
				t.Errorf("%v allocations, want one, for the message", got)
			}
		})
	}
}
