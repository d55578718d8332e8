package clients_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/buildtest"
)

// patience is the longest wait for a condition; no test depends on how long
// something took.
const patience = 60 * time.Second

var picture = flag.Bool("picture", false, "write docs/reconnecting.svg, after an outage of 5 s")

// TestMain removes the program, if a test has built it.
func TestMain(m *testing.M) {
	code := m.Run()
	if err := buildtest.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// eventually waits for a condition. It asks for the description only if the
// wait fails.
func eventually(t testing.TB, what func() string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("in vain for %v: %s", patience, what())
		}
		<-poll.C
	}
}
