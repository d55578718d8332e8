package report

import (
	"fmt"
	"slices"
)

// A Result is one figure of a row.
type Result struct {
	Name  string
	Unit  Unit
	Stoa  []float64 // one value per run; may be empty
	Floor []float64 // empty: the floor has no such figure
	Goal  Goal
	Err   error // not nil: the measurement has failed
	Notes []string
}

// ratio returns the median of the ratios of stoa to the floor. Each ratio is
// made from neighboring runs, which were subject to the same noise.
func (r *Result) ratio() float64 {
	if len(r.Floor) == 0 || len(r.Stoa) == 0 {
		return 0
	}
	if len(r.Floor) != len(r.Stoa) {
		return Median(r.Stoa) / Median(r.Floor)
	}
	ratios := make([]float64, len(r.Stoa))
	for i := range ratios {
		ratios[i] = r.Stoa[i] / r.Floor[i]
	}
	return Median(ratios)
}

// columns are the headings of cells.
var columns = []string{"", "stoa", "range of runs", "floor", "stoa/floor", "goal", ""}

func (r *Result) cells() []string {
	if r.Err != nil {
		return []string{r.Name, "FAILED", "", "", "", "", "FAILED"}
	}
	cells := []string{r.Name, "–", "", "–", "–", r.goal(), r.verdict()}
	if len(r.Stoa) > 0 {
		cells[1] = r.Unit.format(Median(r.Stoa))
	}
	if len(r.Stoa) > 1 {
		cells[2] = r.Unit.format(slices.Min(r.Stoa)) + " – " + r.Unit.format(slices.Max(r.Stoa))
	}
	if len(r.Floor) > 0 {
		cells[3] = r.Unit.format(Median(r.Floor))
	}
	if len(r.Floor) > 0 && len(r.Stoa) > 0 {
		cells[4] = fmt.Sprintf("%.2f", r.ratio())
	}
	return cells
}
