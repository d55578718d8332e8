package session_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// The steps of a tracker: "join ID LIMIT" begins, "answer ID R,POSITION,COUNT"
// ends, "unknown ID" ends without recovery, "joined" is a join of the server,
// and "ID POSITION" is a message.
func TestTracker(t *testing.T) {
	for name, test := range map[string]struct {
		kept  string
		steps []string
		want  string
	}{
		"first join":                {"", []string{"join 5", "answer a 0,p1,0"}, "p1"},
		"no history":                {"", []string{"join 5", "answer a 0,,0", "join 5"}, "[:5:]"},
		"messages":                  {"", []string{"join 5", "answer a 0,p1,0", "a p2", "a p3", "join 0"}, "[p3:0:a]"},
		"newest messages":           {"", []string{"join 5", "answer a 0,p3,2", "a p2", "a p3", "join 0"}, "[p3:0:a]"},
		"cut off among the newest":  {"", []string{"join 5", "answer a 0,p3,2", "a p2", "join 0"}, "[p2:0:]"},
		"cut off before the newest": {"", []string{"join 5", "answer a 0,p3,2", "join 0"}, "[:0:]"},
		// The position of the answer is that of an own emit.
		"own emits last":                  {"p0", []string{"join 5", "answer a 1,p3,1", "a p2", "join 0"}, "[p3:0:a]"},
		"only own emits":                  {"p0", []string{"join 5", "answer a 1,p3,0", "join 0"}, "[p3:0:a]"},
		"cut off in a recovery":           {"p0", []string{"join 0", "answer a 1,p1,0", "join 0", "answer b 1,p4,3", "b p2", "b p3", "join 0"}, "[p1:0:a] [p3:0:a]"},
		"recovered":                       {"p0", []string{"join 0", "answer a 1,p2,2", "a p1", "a p2", "a p3"}, "p3 recovered"},
		"not recovered":                   {"p0", []string{"join 5", "answer a 0,p2,0", "join 0"}, "gap [p2:0:a]"},
		"not recovered, newest":           {"p0", []string{"join 5", "answer a 0,p8,1", "a p8", "join 0"}, "gap [p8:0:a]"},
		"history has ended":               {"p0", []string{"join 5", "answer a 0,,0", "join 0"}, "gap [:0:a]"},
		"server without positions":        {"p0", []string{"join 5", "unknown a", "join 0"}, "gap [:0:a]"},
		"none, and no position":           {"", []string{"join 5", "unknown a", "join 0"}, "[:0:]"},
		"the server was faster":           {"p0", []string{"joined", "a p5", "join 0"}, "gap [p5:0:a]"},
		"the server was faster by a hair": {"p0", []string{"join 0", "joined", "a p5", "answer a 0,,0", "join 0"}, "gap [p5:0:a]"},
		"joined by the server":            {"", []string{"joined", "a p5", "join 0"}, "[p5:0:a]"},
		"answer to another join":          {"p0", []string{"answer a 0,p9,4", "a p1", "join 0"}, "[p1:0:a]"},
	} {
		t.Run(name, func(t *testing.T) {
			tracker := session.NewTracker(test.kept)
			var got []string
			note := func(gap bool) {
				if gap {
					got = append(got, "gap")
				}
			}
			for i, step := range test.steps {
				word, rest, _ := strings.Cut(step, " ")
				switch word {
				case "join":
					var limit int
					if _, err := fmt.Sscan(rest, &limit); err != nil {
						t.Fatal(err)
					}
					request := tracker.Begin(limit)
					if i > 0 {
						got = append(got, fmt.Sprintf("[%s:%d:%s]", request.Position, request.Limit, request.ExceptID))
					}
				case "answer":
					id, parameters, _ := strings.Cut(rest, " ")
					answer, _, ok := wire.ParseRecoveryAnswer([]byte(parameters + ";"))
					if !ok {
						t.Fatalf("no answer: %q", parameters)
					}
					note(tracker.End(&answer, id))
				case "unknown":
					note(tracker.End(nil, rest))
				case "joined":
					note(tracker.Interrupt())
				default:
					tracker.Receive(rest, word)
				}
			}
			if last := test.steps[len(test.steps)-1]; !strings.HasPrefix(last, "join ") {
				got = append(got, tracker.Position())
				if tracker.Recovered() {
					got = append(got, "recovered")
				}
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("after %q: %q, want %q", test.steps, got, test.want)
			}
		})
	}
}
