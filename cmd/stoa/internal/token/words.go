package token

import (
	"math"
	"time"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

// maxSeconds is the end of the year 9999.
const maxSeconds = 253402300799

// describeTime returns a point in time, and its distance from now.
func describeTime(seconds float64, now time.Time) string {
	if !(seconds >= 0 && seconds <= maxSeconds) {
		return "no time in seconds"
	}
	whole, fraction := math.Modf(seconds)
	t := time.Unix(int64(whole), int64(fraction*1e9)).UTC()
	distance := t.Sub(now)
	text := t.Format(time.DateTime) + " UTC, "
	if distance < 0 {
		return text + describeDuration(-distance) + " ago"
	}
	return text + "in " + describeDuration(distance)
}

// describeDuration rounds a duration to one unit.
func describeDuration(d time.Duration) string {
	for _, unit := range []struct {
		name   string
		length time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if d >= 2*unit.length {
			return cli.Count(uint64((d+unit.length/2)/unit.length), unit.name)
		}
	}
	return cli.Count(uint64((d+time.Second/2)/time.Second), "second")
}
