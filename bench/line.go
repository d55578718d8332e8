//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// A unit says how a figure is printed.
type unit uint8

const (
	unitBytes unit = iota + 1
	unitNanoseconds
	unitMicroseconds
	unitMilliseconds
	unitPerSecond
	unitCount
)

func (u unit) format(v float64) string {
	switch u {
	case unitBytes:
		return thousands(v) + " B"
	case unitNanoseconds:
		return fmt.Sprintf("%.1f ns", v)
	case unitMicroseconds:
		return fmt.Sprintf("%.2f µs", v)
	case unitMilliseconds:
		return fmt.Sprintf("%.2f ms", v)
	case unitPerSecond:
		return thousands(v) + "/s"
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

// thousands rounds to three digits, which is more than a run repeats, and sets
// commas.
func thousands(v float64) string {
	if v != 0 {
		scale := math.Pow(10, max(0, math.Floor(math.Log10(math.Abs(v)))-2))
		v = math.Round(v/scale) * scale
	}
	digits := fmt.Sprintf("%.0f", math.Abs(v))
	var b strings.Builder
	if v < 0 {
		b.WriteByte('-')
	}
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// A goal is what design has set. The zero goal is none.
type goal struct {
	what  goalKind
	bound float64
}

type goalKind uint8

const (
	goalNone         goalKind = iota
	goalValueAtMost           // of stoa's figure
	goalRatioAtMost           // of stoa's figure to the floor's
	goalRatioAtLeast          //
	goalValueAtLeast          // of stoa's figure
)

// A line is one figure of a row.
type line struct {
	name   string
	unit   unit
	stoa   []float64 // one for each run
	floor  []float64 // none: the floor has no such figure; either may be missing
	goal   goal
	failed error
	notes  []string
}

// ratio of stoa to the floor: the median over the pairs of neighbouring runs,
// which met the same noise.
func (l *line) ratio() float64 {
	if len(l.floor) == 0 || len(l.stoa) == 0 {
		return 0
	}
	if len(l.floor) != len(l.stoa) {
		return median(l.stoa) / median(l.floor)
	}
	ratios := make([]float64, len(l.stoa))
	for i := range ratios {
		ratios[i] = l.stoa[i] / l.floor[i]
	}
	return median(ratios)
}

// cells of the table: figure, stoa, its range, floor, ratio, goal, verdict.
func (l *line) cells() []string {
	if l.failed != nil {
		return []string{l.name, "FAILED", "", "", "", "", "FAILED"}
	}
	cells := []string{l.name, "–", "", "–", "–", l.goalText(), l.verdict()}
	if len(l.stoa) > 0 {
		cells[1] = l.unit.format(median(l.stoa))
	}
	if len(l.stoa) > 1 {
		cells[2] = l.unit.format(slices.Min(l.stoa)) + " – " + l.unit.format(slices.Max(l.stoa))
	}
	if len(l.floor) > 0 {
		cells[3] = l.unit.format(median(l.floor))
	}
	if len(l.floor) > 0 && len(l.stoa) > 0 {
		cells[4] = fmt.Sprintf("%.2f", l.ratio())
	}
	return cells
}

var columns = []string{"", "stoa", "range of runs", "floor", "stoa/floor", "goal", ""}

func (l *line) goalText() string {
	switch l.goal.what {
	case goalValueAtMost:
		return "≤ " + l.unit.format(l.goal.bound)
	case goalValueAtLeast:
		return "≥ " + l.unit.format(l.goal.bound)
	case goalRatioAtMost:
		return fmt.Sprintf("≤ %.2f × floor", l.goal.bound)
	case goalRatioAtLeast:
		return fmt.Sprintf("≥ %.2f × floor", l.goal.bound)
	}
	return "–"
}

func (l *line) verdict() string {
	met := true
	switch l.goal.what {
	case goalNone:
		return ""
	case goalValueAtMost:
		met = median(l.stoa) <= l.goal.bound
	case goalValueAtLeast:
		met = median(l.stoa) >= l.goal.bound
	case goalRatioAtMost:
		met = l.ratio() <= l.goal.bound
	case goalRatioAtLeast:
		met = l.ratio() >= l.goal.bound
	}
	if met {
		return "met"
	}
	return "missed"
}

func microseconds(d time.Duration, count uint64) float64 {
	return float64(d) / float64(time.Microsecond) / float64(count)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
