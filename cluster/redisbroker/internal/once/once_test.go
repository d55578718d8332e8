package once_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/once"
)

func TestCause(t *testing.T) {
	const cause = "READONLY You can't write against a read only replica."
	for reply, want := range map[string]string{
		cause: cause,
		"ERR Error running script (call to f_4ff0): @user_script:1: @user_script: 1: -" + cause + "\r\n": cause,
		"@user_script: 6: -" + cause:                   cause,
		"ERR @user_script: 6: -" + cause:               cause,
		"OOM command not allowed":                      "OOM command not allowed",
		"ERR unknown command 'eval', with: -READONLY ": "ERR unknown command 'eval', with: -READONLY ",
		"ERR Error running script: no command":         "ERR Error running script: no command",
	} {
		if got := once.Cause(reply); got != want {
			t.Errorf("Cause(%q) = %q, want %q", reply, got, want)
		}
	}
}

// TestKeys checks that no byte of an ID is part of its key, and that the keys
// of all channels and IDs differ.
func TestKeys(t *testing.T) {
	form := regexp.MustCompile(`^stoa:o:r:chat:lobby:[0-9a-f]{32}$`)
	ids := []string{"a", "b", "a:", "a\x00", "*", "[a]", "a\r\nDEL x", strings.Repeat("x", cluster.MaxOnceID)}
	keys := make(map[string]string)
	for _, channel := range []string{"r:chat:lobby", "r:chat:lobby:a", "r:chat:"} {
		for _, id := range ids {
			key := once.New(&cluster.Envelope{}, cluster.Once{ID: id, Window: 1}, nil).KeyOf("stoa:", channel)
			if channel == "r:chat:lobby" && !form.MatchString(key) {
				t.Errorf("the key of %q is %q, want the form %v", id, key, form)
			}
			if other, found := keys[key]; found {
				t.Errorf("%q in %q has the key of %s", id, channel, other)
			}
			keys[key] = id + " in " + channel
		}
	}
}

func TestWindowMillis(t *testing.T) {
	for window, want := range map[time.Duration]int64{
		1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, time.Hour: 3_600_000, 1<<63 - 1: 9_223_372_036_855,
	} {
		if got := once.New(&cluster.Envelope{}, cluster.Once{Window: window}, nil).WindowMillis(); got != want {
			t.Errorf("WindowMillis of %d = %d, want %d", window, got, want)
		}
	}
}

func TestSettle(t *testing.T) {
	own, other := cluster.Position{Incarnation: 1, Number: 2}, cluster.Position{Incarnation: 3, Number: 2}
	value := func(p cluster.Position, payload string) string {
		m := once.New(&cluster.Envelope{Payload: []byte(payload)}, cluster.Once{}, nil)
		m.Place(p)
		return m.Value()
	}
	for _, c := range []struct {
		name, reply string
		outcome     once.Outcome
		position    cluster.Position
		problem     error
		over        bool
	}{
		{"its own value", value(own, "text"), once.Published, own, nil, false},
		{"a copy's", value(other, "text"), once.Repeat, other, nil, true},
		{"another message's", value(other, "other"), once.Repeat, cluster.Position{}, cluster.ErrIDReused, true},
		{"nothing", "", once.Refused, cluster.Position{}, nil, true},
		{"no fingerprint", other.String(), once.Refused, cluster.Position{}, nil, true},
		{"no position", " 12", once.Refused, cluster.Position{}, nil, true},
		{"a foreign value", "x y", once.Refused, cluster.Position{}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := 0
			var position cluster.Position
			var problem error
			m := once.New(&cluster.Envelope{Payload: []byte("text")}, cluster.Once{}, func(p cluster.Position, err error) {
				calls, position, problem = calls+1, p, err
			})
			m.Place(own)
			outcome, err := m.Settle(c.reply)
			if c.outcome == once.Refused && problem == nil || c.problem != nil && !errors.Is(problem, c.problem) || c.problem == nil && problem != err {
				t.Errorf("done got %v, want %v", problem, c.problem)
			}
			if outcome != c.outcome || position != c.position || (err != nil) != (c.outcome == once.Refused) {
				t.Errorf("Settle = %v, %v, done got %v, want %v and %v", outcome, err, position, c.outcome, c.position)
			}
			if m.Waiting() || m.Over() != c.over {
				t.Errorf("waiting %v, over %v, want false, %v", m.Waiting(), m.Over(), c.over)
			}
			// The publisher may have to send it again, and may be closed.
			_, _ = m.Settle(value(other, "text"))
			m.Fail(cluster.ErrClosed)
			if calls != 1 {
				t.Errorf("done was called %d times, want 1", calls)
			}
		})
	}
}
