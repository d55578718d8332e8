package client_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/wire"
)

func TestDelays(t *testing.T) {
	const almostOne = 1 - 1e-12
	tests := []struct {
		exponent  int
		suggested time.Duration
		draw      float64
		want      time.Duration
	}{
		{0, 0, 0, 0},
		{0, 0, almostOne, 200 * time.Millisecond},
		{1, 0, almostOne, 400 * time.Millisecond},
		{6, 0, almostOne, 12800 * time.Millisecond},
		{7, 0, almostOne, 20 * time.Second},
		{1_000_000, 0, almostOne, 20 * time.Second},
		// Jitter after the cap: a long outage does not synchronize clients.
		{1_000_000, 0, 0.5, 10 * time.Second},
		{1_000_000, 0, 0.001, 20 * time.Millisecond},
		{5, time.Second, 0, time.Second},
		{5, time.Second, almostOne, 1500 * time.Millisecond},
		{0, time.Hour, 0, 40 * time.Second},
		{5, time.Millisecond, 0, 200 * time.Millisecond},
		{5, time.Millisecond, 1, 300 * time.Millisecond},
		{0, time.Hour, 0.5, 50 * time.Second},
	}
	for _, test := range tests {
		got := client.Reconnect{}.Delay(test.exponent, test.suggested, test.draw)
		if difference := got - test.want; difference < -time.Microsecond || difference > time.Microsecond {
			t.Errorf("attempt %d, suggested %v, draw %v: %v, want %v", test.exponent, test.suggested, test.draw, got, test.want)
		}
	}
}

func TestSuggestedDelays(t *testing.T) {
	tests := []struct {
		reason string
		want   time.Duration
	}{
		{"node shuts down", 0},
		{"node shuts down; retry-after=1500", 1500 * time.Millisecond},
		{"; retry-after=1", time.Millisecond},
		{"x;retry-after=2", 2 * time.Millisecond},
		{"retry-after=2", 0},
		{"; retry-after=2 ", 0},
		{"; retry-after=-2", 0},
		{"; retry-after=99999999999999999999", 0},
	}
	for _, test := range tests {
		err := fmt.Errorf("wrapped: %w", &client.CloseError{Code: wire.CodeGoingAway, Reason: test.reason})
		if got := client.Suggestion(err); got != test.want {
			t.Errorf("%q suggests %v, want %v", test.reason, got, test.want)
		}
	}
}

func TestSuggestionOfACloseFrame(t *testing.T) {
	url := startServer(t, func(number int, p *peer) {
		if p.hello("id") && number == 0 {
			p.frame(closeFrame(wire.CodeServiceRestart, "moved; retry-after=20"))
		}
		p.drain()
	})
	states := newStates()
	dial(t, url, client.Options{OnState: states.hear, Reconnect: client.Reconnect{Base: 1, Cap: time.Second}})
	tr := states.await(t, client.StateReconnecting)
	if tr.Delay < 20*time.Millisecond || tr.Delay > 30*time.Millisecond {
		t.Errorf("the delay is %v, want 20 to 30 ms", tr.Delay)
	}
	if back := states.await(t, client.StateConnected); back.Delay != tr.Delay || back.Attempt != 1 {
		t.Errorf("the transition is %+v", back)
	}
}
