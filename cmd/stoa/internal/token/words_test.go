package token

import (
	"testing"
	"time"
)

func TestDescribeTime(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for seconds, want := range map[float64]string{
		1_700_000_000:          "2023-11-14 22:13:20 UTC, in 0 seconds",
		1_700_000_001:          "2023-11-14 22:13:21 UTC, in 1 second",
		1_700_000_000 - 119:    "2023-11-14 22:11:21 UTC, 119 seconds ago",
		1_700_000_000 + 3600:   "2023-11-14 23:13:20 UTC, in 60 minutes",
		1_700_000_000 - 7200:   "2023-11-14 20:13:20 UTC, 2 hours ago",
		1_700_000_000 + 864000: "2023-11-24 22:13:20 UTC, in 10 days",
		1_700_000_000_000:      "no time in seconds",
		-1:                     "no time in seconds",
		0:                      "1970-01-01 00:00:00 UTC, 19,676 days ago",
	} {
		if got := describeTime(seconds, now); got != want {
			t.Errorf("%v: %s, want %s", seconds, got, want)
		}
	}
}
