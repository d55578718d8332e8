package clients_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stoa-io/stoa/internal/testkit"
)

var picture = flag.Bool("picture", false, "write docs/reconnecting.svg, after an outage of 5 s")

func TestMain(m *testing.M) { os.Exit(testkit.Run(m, os.Stderr)) }

// eventually waits for a condition. It describes the condition after a failure
// only, with the state at that time.
func eventually(t testing.TB, what func() string, condition func() bool) {
	t.Helper()
	if !testkit.Wait(condition) {
		t.Fatalf("not within %v: %s", testkit.Patience, what())
	}
}
