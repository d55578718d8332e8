//go:build !race

// With the race detector sync.Pool drops some of its objects, so
// allocations cannot be counted.

package session_test

import (
	"testing"

	"github.com/stoa-io/stoa/internal/session"
)

func TestAllocations(t *testing.T) {
	s, d := joined(t)
	emit := []byte(";default;room;chat;0;0;hello")
	ask := []byte("$12345;default;room;chat;0;0;hello")
	tests := map[string]func(){
		"receive a room emit": func() { s.Receive(emit, false) },
		"answer an ask":       func() { s.Receive(ask, false) },
		"emit": func() {
			if err := s.Emit(d.namespace, d.room, "chat", emit, false); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, run := range tests {
		t.Run(name, func(t *testing.T) {
			if got := testing.AllocsPerRun(1000, run); got != 0 {
				t.Errorf("%v allocations, want none", got)
			}
		})
	}
}

var _ session.Driver = (*quiet)(nil)
