package cluster_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// publishOnce returns the position of the message.
func publishOnce(t testing.TB, m *cluster.Memory, id string, window time.Duration) (position cluster.Position) {
	t.Helper()
	env := &cluster.Envelope{Keep: &hour, Payload: []byte("message")}
	m.PublishOnce("channel", env, cluster.Once{ID: id, Window: window}, func(p cluster.Position, err error) {
		if err != nil {
			t.Errorf("PublishOnce(%q) = %v, want nil", id, err)
		}
		position = p
	})
	return position
}

// TestOnceWindow checks that an ID is remembered for its window, and not for
// longer, also when other IDs come.
func TestOnceWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := startMemory(t, &counter{})
		first := publishOnce(t, m, "id", time.Minute)
		for i := range 1000 {
			publishOnce(t, m, fmt.Sprint("other", i), time.Second)
			pass(50 * time.Millisecond)
		}
		if again := publishOnce(t, m, "id", time.Minute); again != first {
			t.Errorf("within the window: position %v, want that of the first, %v", again, first)
		}
		if ids := m.OnceIDs("channel"); ids > 200 {
			t.Errorf("%d IDs are remembered, want about the 20 of the last second", ids)
		}
		pass(time.Minute)
		if late := publishOnce(t, m, "id", time.Minute); late == first {
			t.Error("after the window, the message was not published again")
		}
	})
}
