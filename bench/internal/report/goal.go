package report

import "fmt"

// A Goal is a bound on a result. The zero Goal is none.
type Goal struct {
	kind  goalKind
	bound float64
}

type goalKind uint8

const (
	goalNone goalKind = iota
	goalAtMost
	goalAtLeast
	goalRatioAtMost
	goalRatioAtLeast
)

// AtMost is a goal for stoa's value.
func AtMost(bound float64) Goal { return Goal{goalAtMost, bound} }

// AtLeast is a goal for stoa's value.
func AtLeast(bound float64) Goal { return Goal{goalAtLeast, bound} }

// RatioAtMost is a goal for the ratio of stoa's value to the floor's.
func RatioAtMost(bound float64) Goal { return Goal{goalRatioAtMost, bound} }

// RatioAtLeast is a goal for the ratio of stoa's value to the floor's.
func RatioAtLeast(bound float64) Goal { return Goal{goalRatioAtLeast, bound} }

func (r *Result) goal() string {
	switch r.Goal.kind {
	case goalAtMost:
		return "≤ " + r.Unit.format(r.Goal.bound)
	case goalAtLeast:
		return "≥ " + r.Unit.format(r.Goal.bound)
	case goalRatioAtMost:
		return fmt.Sprintf("≤ %.2f × floor", r.Goal.bound)
	case goalRatioAtLeast:
		return fmt.Sprintf("≥ %.2f × floor", r.Goal.bound)
	}
	return "–"
}

func (r *Result) verdict() string {
	met := true
	switch r.Goal.kind {
	case goalNone:
		return ""
	case goalAtMost:
		met = Median(r.Stoa) <= r.Goal.bound
	case goalAtLeast:
		met = Median(r.Stoa) >= r.Goal.bound
	case goalRatioAtMost:
		met = r.ratio() <= r.Goal.bound
	case goalRatioAtLeast:
		met = r.ratio() >= r.Goal.bound
	}
	if met {
		return "met"
	}
	return "missed"
}
