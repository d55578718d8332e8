package cluster_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

var hour = cluster.Retention{Messages: 100, Age: time.Hour, Bytes: 1 << 20}

func keep(t testing.TB, b cluster.Broker, channel string, retention cluster.Retention, payloads ...string) {
	t.Helper()
	for _, payload := range payloads {
		if err := b.Publish(channel, &cluster.Envelope{Keep: &retention, Payload: []byte(payload)}); err != nil {
			t.Fatalf("Publish(%q) = %v, want nil", channel, err)
		}
	}
}

func readHistory(t testing.TB, m *cluster.Memory, channel string, query cluster.HistoryQuery) (cluster.HistoryPage, []string) {
	t.Helper()
	if query.Limit == 0 {
		query.Limit = 100
	}
	page, err := m.History(t.Context(), channel, query)
	if err != nil {
		t.Fatalf("History(%q) = %v, want nil", channel, err)
	}
	payloads := []string{}
	for i := range page.Entries {
		payloads = append(payloads, string(page.Entries[i].Envelope.Payload))
	}
	return page, payloads
}

// positionRecorder is a handler that records positions.
type positionRecorder struct{ positions []cluster.Position }

func (r *positionRecorder) Deliver(_ string, env *cluster.Envelope) {
	r.positions = append(r.positions, env.Position)
}

func (r *positionRecorder) Congested(int, bool) {}

func TestMemoryHistoryHasAgeExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := startMemory(t, &counter{})
		keep(t, m, "r:chat:lobby", hour, "first")
		pass(time.Minute)
		keep(t, m, "r:chat:lobby", hour, "second")
		pass(59 * time.Minute)
		page, got := readHistory(t, m, "r:chat:lobby", cluster.HistoryQuery{Retention: hour})
		if fmt.Sprint(got) != "[first second]" || page.Entries[1].Time.Sub(page.Entries[0].Time) != time.Minute {
			t.Errorf("history after an hour: %q, times %v, want both, a minute apart", got, page.Entries)
		}
		pass(1)
		if _, got := readHistory(t, m, "r:chat:lobby", cluster.HistoryQuery{Retention: hour}); fmt.Sprint(got) != "[second]" {
			t.Errorf("history a nanosecond later: %q, want the second message only", got)
		}
	})
}

func TestMemoryHistoryBeginsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &positionRecorder{}
		m := startMemory(t, r)
		if err := m.Subscribe(t.Context(), "r:chat:lobby"); err != nil {
			t.Fatal(err)
		}
		begin, _ := readHistory(t, m, "r:chat:lobby", cluster.HistoryQuery{Retention: hour})
		keep(t, m, "r:chat:lobby", hour, "first")
		pass(2 * time.Hour)
		empty, _ := readHistory(t, m, "r:chat:lobby", cluster.HistoryQuery{Retention: hour})
		if empty.Head == begin.Head || empty.Head == r.positions[0] {
			t.Errorf("the head %+v of a history that has become empty is an old one", empty.Head)
		}
		keep(t, m, "r:chat:lobby", hour, "second")
		for _, c := range []struct {
			name  string
			after cluster.Position
			found bool
		}{{"the first beginning", begin.Head, false}, {"the expired message", r.positions[0], false}, {"the second beginning", empty.Head, true}} {
			page, got := readHistory(t, m, "r:chat:lobby", cluster.HistoryQuery{Retention: hour, After: c.after})
			if page.Found != c.found || fmt.Sprint(got) != "[second]" {
				t.Errorf("after %s: %q, found %v, want the second message and %v", c.name, got, page.Found, c.found)
			}
		}
	})
}

// TestMemoryHistoryGivesMemoryBack keeps messages in many channels, which then
// fall silent: later messages in a few other channels remove them.
func TestMemoryHistoryGivesMemoryBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 2_000
		m := startMemory(t, &counter{})
		for i := range count {
			keep(t, m, cluster.RoomChannel("chat", fmt.Sprint("room ", i)), hour, "a", "b", "c")
		}
		if histories, messages := m.Histories(); histories != count || messages != 3*count {
			t.Fatalf("%d histories with %d messages, want %d and %d", histories, messages, count, 3*count)
		}
		pass(2 * time.Hour)
		for range count * 20 {
			keep(t, m, "r:chat:lobby", hour, "x")
		}
		if histories, messages := m.Histories(); histories != 1 || messages != hour.Messages {
			t.Errorf("%d histories with %d messages are left, want 1 and %d", histories, messages, hour.Messages)
		}
	})
}

// TestMemoryHistoryShrinks also checks that messages without Keep remove
// expired ones of their stripe.
func TestMemoryHistoryShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := cluster.NewMemory(cluster.MemoryConfig{Stripes: 1})
		if err := m.Start(t.Context(), &counter{}); err != nil {
			t.Fatal(err)
		}
		many := cluster.Retention{Messages: 10_000, Age: time.Hour, Bytes: 1 << 20}
		for range many.Messages + 10 {
			keep(t, m, "r:chat:lobby", many, "x")
		}
		if _, messages := m.Histories(); messages != many.Messages {
			t.Errorf("%d messages are kept, want %d", messages, many.Messages)
		}
		keep(t, m, "r:chat:lobby", hour, "y")
		if slots := m.HistorySlots(); slots > 8*hour.Messages {
			t.Errorf("the ring of %d messages has %d slots", hour.Messages, slots)
		}
		pass(2 * time.Hour)
		for range 1000 {
			publish(t, m, "r:chat:other")
		}
		if histories, _ := m.Histories(); histories != 0 {
			t.Error("messages without Keep do not remove the expired history of their stripe")
		}
	})
}

func TestMemoryMessageLargerThanItsHistory(t *testing.T) {
	m := startMemory(t, &counter{})
	small := cluster.Retention{Messages: 10, Age: time.Hour, Bytes: 4}
	keep(t, m, "r:chat:lobby", small, "ab", "cd", "abcde")
	page, got := readHistory(t, m, "r:chat:lobby", cluster.HistoryQuery{Retention: small})
	if len(got) != 0 || page.Head.IsZero() {
		t.Errorf("history %q with the head %+v, want none, and a position", got, page.Head)
	}
	if histories, _ := m.Histories(); histories != 0 {
		t.Error("an empty history takes memory")
	}
}

func TestMemoryPublishWithoutKeepDoesNotAllocate(t *testing.T) {
	var c counter
	m := cluster.NewMemory(cluster.MemoryConfig{Stripes: 1})
	if err := m.Start(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	if err := m.Subscribe(t.Context(), "r:chat:lobby"); err != nil {
		t.Fatal(err)
	}
	keep(t, m, "r:chat:kept", hour, "x")
	env := &cluster.Envelope{Payload: []byte("hello")}
	if allocations := testing.AllocsPerRun(1000, func() { _ = m.Publish("r:chat:lobby", env) }); allocations != 0 {
		t.Errorf("Publish next to a history allocates %v times, want 0", allocations)
	}
}

// pass lets time go by in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }
