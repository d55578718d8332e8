//go:build linux

package floor

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/load"
	"github.com/stoa-io/stoa/internal/load/rawnet"
)

// startTestFloor runs a floor in this process until the test ends. With lose,
// it drops each delivery whose number lose divides. miscount is added to
// the count of emits.
func startTestFloor(tb testing.TB, lose, miscount int) string {
	tb.Helper()
	f, address, err := newFloor(false)
	if err != nil {
		tb.Fatal(err)
	}
	f.lose, f.counted = lose, miscount
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		tb.Fatal(err)
	}
	f.stop = pipe[0]
	if err := f.poller.Add(f.stop); err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.serve() }()
	tb.Cleanup(func() {
		rawnet.Close(pipe[1])
		err := <-served
		// A client that notices a wrong answer closes while the floor still
		// writes.
		closed := errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
		if err != nil && !(closed && (lose > 0 || miscount > 0)) {
			tb.Errorf("floor: %v", err)
		}
		rawnet.Close(pipe[0])
	})
	return address.String()
}

func newTestClient(tb testing.TB) *load.Client {
	tb.Helper()
	c, err := load.New()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func mustDo(tb testing.TB, c *load.Client, address string, cmd load.Command) load.Report {
	tb.Helper()
	cmd.Address, cmd.ServerPID = address, os.Getpid()
	r, err := c.Do(cmd)
	if err != nil {
		tb.Fatalf("%s: %v", cmd.Action, err)
	}
	return r
}

func TestClientAgainstFloor(t *testing.T) {
	const rooms, perRoom = 3, 20
	address := startTestFloor(t, 0, 0)
	c := newTestClient(t)
	opened := mustDo(t, c, address, load.Command{Action: load.ActionOpen, Count: rooms * perRoom, PerRoom: perRoom, Publishers: true})
	if want := uint64(rooms*perRoom + rooms); opened.Operations != want {
		t.Fatalf("opened %d connections, want %d", opened.Operations, want)
	}
	for _, cmd := range []load.Command{
		{Action: load.ActionPublish, Outstanding: 1, Duration: 50 * time.Millisecond},
		{Action: load.ActionPublish, Outstanding: 64, Duration: 50 * time.Millisecond},
		{Action: load.ActionPace, Rate: 100, Duration: 200 * time.Millisecond},
	} {
		r := mustDo(t, c, address, cmd)
		if r.Messages == 0 || r.Deliveries != r.Messages*perRoom {
			t.Errorf("%+v: %d messages gave %d deliveries, want %d for each", cmd, r.Messages, r.Deliveries, perRoom)
		}
	}
	if r := mustDo(t, c, address, load.Command{Action: load.ActionPing}); r.Operations != opened.Operations {
		t.Errorf("pinged %d connections, want %d", r.Operations, opened.Operations)
	}
}

func TestClientOperations(t *testing.T) {
	address := startTestFloor(t, 0, 0)
	c := newTestClient(t)
	if r := mustDo(t, c, address, load.Command{Action: load.ActionSetUp, Count: 150, Rooms: 4}); r.Operations != 150 {
		t.Errorf("set up %d connections, want 150", r.Operations)
	}
	mustDo(t, c, address, load.Command{Action: load.ActionOpen, Count: 8, Rooms: 2, Outside: true})
	for range 2 {
		r := mustDo(t, c, address, load.Command{Action: load.ActionOperate, Duration: 50 * time.Millisecond})
		if r.Operations == 0 || r.Operations%2 != 0 {
			t.Errorf("%d operations, want as many joins as leaves", r.Operations)
		}
	}
}

func TestClientAsks(t *testing.T) {
	const connections = 20
	address := startTestFloor(t, 0, 0)
	c := newTestClient(t)
	mustDo(t, c, address, load.Command{Action: load.ActionOpen, Count: connections, Rooms: 1, Outside: true})
	for _, cmd := range []load.Command{
		{Action: load.ActionAsk, Outstanding: 1, Duration: 50 * time.Millisecond},
		{Action: load.ActionAsk, Outstanding: 16, Duration: 50 * time.Millisecond},
		{Action: load.ActionRound, Outstanding: 1, Duration: 50 * time.Millisecond},
		{Action: load.ActionRound, Outstanding: 30, Duration: 50 * time.Millisecond},
		{Action: load.ActionEmit, Outstanding: 1, Duration: 50 * time.Millisecond},
		{Action: load.ActionEmit, Outstanding: 16, Duration: 50 * time.Millisecond},
	} {
		if r := mustDo(t, c, address, cmd); r.Operations < uint64(cmd.Outstanding) {
			t.Errorf("%+v: %d operations, want at least %d", cmd, r.Operations, cmd.Outstanding)
		}
	}
}

func TestClientNoticesAMiscount(t *testing.T) {
	address := startTestFloor(t, 0, 1)
	c := newTestClient(t)
	mustDo(t, c, address, load.Command{Action: load.ActionOpen, Count: 2, Rooms: 1, Outside: true})
	_, err := c.Do(load.Command{Action: load.ActionEmit, Outstanding: 4, Duration: time.Millisecond, ServerPID: os.Getpid()})
	if err == nil || !strings.Contains(err.Error(), "unexpected frame") {
		t.Errorf("a floor that counts one emit too many: error %v, want one with %q", err, "unexpected frame")
	}
}

func TestClientNoticesALoss(t *testing.T) {
	address := startTestFloor(t, 500, 0)
	c := newTestClient(t)
	mustDo(t, c, address, load.Command{Action: load.ActionOpen, Count: 20, Rooms: 1, Publishers: true})
	_, err := c.Do(load.Command{Action: load.ActionPublish, Outstanding: 64, Duration: time.Second, ServerPID: os.Getpid()})
	if err == nil || !strings.Contains(err.Error(), "lost or late") {
		t.Errorf("a floor that loses one delivery in 500: error %v, want one with %q", err, "lost or late")
	}
}

// Two floors stand in for two nodes. The client counts the deliveries of both.
func TestClientWithTwoAddresses(t *testing.T) {
	c := newTestClient(t)
	address := startTestFloor(t, 0, 0)
	mustDo(t, c, address, load.Command{Action: load.ActionOpen, Count: 5, PerRoom: 5, Publishers: true})
	other := startTestFloor(t, 0, 0)
	mustDo(t, c, other, load.Command{Action: load.ActionOpen, Count: 7, First: 5, PerRoom: 5})
	mustDo(t, c, other, load.Command{Action: load.ActionOpen, First: 5, PerRoom: 5, Publishers: true})
	r := mustDo(t, c, other, load.Command{Action: load.ActionPublish, Outstanding: 4, Duration: 50 * time.Millisecond, Latencies: true})
	if r.Messages == 0 || r.Deliveries < 2*r.Messages {
		t.Errorf("%d messages gave %d deliveries, want at least 2 for each", r.Messages, r.Deliveries)
	}
	if r.P50 <= 0 || r.P99 < r.P50 {
		t.Errorf("latencies: p50 %v, p99 %v; want more than nothing and no less than p50", r.P50, r.P99)
	}
}
