//go:build linux

package handlers

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/load"
	"github.com/stoa-io/stoa/node"
)

func startTestNode(tb testing.TB) string {
	tb.Helper()
	n, err := newNode(1, "")
	if err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	tb.Cleanup(func() {
		n.Close()
		if err := <-served; !errors.Is(err, node.ErrClosed) {
			tb.Errorf("Serve: %v, want %v", err, node.ErrClosed)
		}
	})
	return n.Addr().String()
}

func TestNodeAnswersTheLoad(t *testing.T) {
	address := startTestNode(t)
	c, err := load.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for _, cmd := range []load.Command{
		{Action: load.ActionOpen, Count: 20, Rooms: 1, Outside: true},
		{Action: load.ActionAsk, Outstanding: 1, Duration: 50 * time.Millisecond},
		{Action: load.ActionAsk, Outstanding: 16, Duration: 50 * time.Millisecond},
		{Action: load.ActionRound, Outstanding: 1, Duration: 50 * time.Millisecond},
		{Action: load.ActionRound, Outstanding: 30, Duration: 50 * time.Millisecond},
		{Action: load.ActionEmit, Outstanding: 1, Duration: 50 * time.Millisecond},
		{Action: load.ActionEmit, Outstanding: 16, Duration: 50 * time.Millisecond},
	} {
		cmd.Address, cmd.ServerPID = address, os.Getpid()
		r, err := c.Do(cmd)
		if err != nil {
			t.Fatalf("%s: %v", cmd.Action, err)
		}
		if r.Operations < uint64(cmd.Outstanding) {
			t.Errorf("%+v: %d operations, want at least %d", cmd, r.Operations, cmd.Outstanding)
		}
	}
}
