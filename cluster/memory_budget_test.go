package cluster_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// startBounded starts a broker whose histories have a limit.
func startBounded(t testing.TB, bytes int) *cluster.Memory {
	t.Helper()
	m := cluster.NewMemory(cluster.MemoryConfig{HistoryBytes: bytes})
	if err := m.Start(t.Context(), &counter{}); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestHistoriesAreBounded fills any number of channels: the memory is bounded,
// and a channel that is in use keeps its messages.
func TestHistoriesAreBounded(t *testing.T) {
	const limit = 4 << 20
	m := startBounded(t, limit)
	before := heapBytes()
	text := strings.Repeat("x", 1000)
	for i := range 40_000 {
		keep(t, m, fmt.Sprint("flood ", i), hour, text)
		if i%50 == 0 {
			keep(t, m, "in use", hour, fmt.Sprint(i))
		}
	}
	if took := heapBytes() - before; took > 2*limit {
		t.Errorf("the histories take %d bytes, want about %d", took, limit)
	}
	if m.Evicted() == 0 {
		t.Error("no message was evicted")
	}
	if _, got := readHistory(t, m, "in use", cluster.HistoryQuery{Retention: hour}); len(got) < hour.Messages/2 {
		t.Errorf("the channel in use has %d messages, want most of %d", len(got), hour.Messages)
	}
	first, _ := readHistory(t, m, "flood 0", cluster.HistoryQuery{Retention: hour, After: cluster.Position{Incarnation: 1, Number: 1}})
	if len(first.Entries) != 0 || first.Found {
		t.Errorf("the first channel has %d messages, found %v, want it empty, and no position found", len(first.Entries), first.Found)
	}
}

// TestValuesAreBounded fills channels with values by key: those of the channels
// that are in use count, too.
func TestValuesAreBounded(t *testing.T) {
	const limit = 4 << 20
	m := startBounded(t, limit)
	retention := hour
	retention.Keys = 1000
	before, text := heapBytes(), []byte(strings.Repeat("x", 500))
	for i := range 100 {
		for k := range 1000 {
			env := &cluster.Envelope{Keep: &retention, Key: fmt.Sprint(k), Payload: text}
			if err := m.Publish(fmt.Sprint("channel ", i), env); err != nil {
				t.Fatal(err)
			}
		}
	}
	if took := heapBytes() - before; took > 2*limit {
		t.Errorf("the histories take %d bytes, want about %d", took, limit)
	}
	page, _ := readHistory(t, m, "channel 99", cluster.HistoryQuery{Retention: retention, Latest: true})
	if count := len(page.Latest); count == 0 || page.Latest[count-1].Envelope.Key != "999" {
		t.Errorf("the channel in use has %d values, want the newest one among them", count)
	}
}

// TestEvictionIsNoRepeat checks that a position from before an eviction is not
// found, and one behind it is.
func TestEvictionIsNoRepeat(t *testing.T) {
	r := &positionRecorder{}
	m := cluster.NewMemory(cluster.MemoryConfig{HistoryBytes: 8 << 10, Stripes: 1})
	if err := m.Start(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := m.Subscribe(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		keep(t, m, "one", hour, strings.Repeat("x", 1000))
	}
	page, got := readHistory(t, m, "one", cluster.HistoryQuery{Retention: hour, After: r.positions[0]})
	if page.Found || len(got) > 8 || len(got) == 0 {
		t.Errorf("after an evicted message: found %v, %d messages, want not found and those that fit", page.Found, len(got))
	}
	last := r.positions[len(r.positions)-2]
	if page, got = readHistory(t, m, "one", cluster.HistoryQuery{Retention: hour, After: last}); !page.Found || len(got) != 1 {
		t.Errorf("after the last but one: found %v, %d messages, want one", page.Found, len(got))
	}
}

// TestOnceIDsAreBounded checks that an ID in force is never forgotten: beyond
// the limit, new ones are refused until others have expired.
func TestOnceIDsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := startBounded(t, 64<<10)
		env := &cluster.Envelope{Keep: &hour, Payload: []byte("message")}
		channel := "channel"
		try := func(id string) (p cluster.Position, err error) {
			m.PublishOnce(channel, env, cluster.Once{ID: id, Window: time.Minute}, func(at cluster.Position, e error) { p, err = at, e })
			return p, err
		}
		first, err := try("first")
		if err != nil {
			t.Fatal(err)
		}
		accepted := 0
		for ; err == nil && accepted < 10_000; accepted++ {
			_, err = try(fmt.Sprint("id ", accepted))
		}
		if !errors.Is(err, cluster.ErrQueueFull) || accepted < 100 {
			t.Fatalf("after %d IDs: %v, want ErrQueueFull after a few hundred", accepted, err)
		}
		if again, err := try("first"); again != first || err != nil {
			t.Errorf("the first ID: %v, %v, want its position %v", again, err, first)
		}
		pass(2 * time.Minute)
		for i := range 100 { // the IDs are in the stripe of another channel
			channel = fmt.Sprint("other ", i)
			if _, err := try("later"); err != nil {
				t.Fatalf("after the windows, channel %d: %v, want nil", i, err)
			}
		}
	})
}

// TestOnceIDCountsOnce uses IDs again after their windows, before the expired
// ones are removed: each counts once, so that the limit is not reached.
func TestOnceIDCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := startBounded(t, 64<<10)
		for i := range 2000 {
			if publishOnce(t, m, "id", time.Second); t.Failed() {
				t.Fatalf("after %d windows", i)
			}
			pass(time.Second)
		}
	})
}

func heapBytes() int {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}
