//go:build linux

package rows

import (
	"fmt"

	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/internal/load"
)

const (
	askers = 200
	// manyAsks is the number of asks in flight on one connection, where there
	// are many.
	manyAsks = 16
	// idleAskers ask in turn, so each is idle before its ask.
	idleAskers = 5000
	// askGoal is 1.1 times the rate of a server with one goroutine per
	// connection, which reached 0.76 of the floor's.
	askGoal = 0.83
)

func operationsPerSecond(r load.Report) float64 { return float64(r.Operations) / r.Elapsed.Seconds() }

func askersOpen(count int) *load.Command {
	return &load.Command{Action: load.ActionOpen, Count: count, Rooms: 1, Outside: true}
}

// measureAsk has every connection ask. A handler answers with the body of the
// ask.
func (b *Bench) measureAsk() ([]report.Result, error) {
	var results []report.Result
	for _, inFlight := range []int{1, manyAsks} {
		pairs, err := b.compareNode(targetHandlers, askersOpen(askers),
			load.Command{Action: load.ActionAsk, Outstanding: inFlight, Duration: b.Window})
		if err != nil {
			return results, err
		}
		costGoal, rateGoal := report.Goal{}, report.Goal{}
		if inFlight == 1 {
			costGoal, rateGoal = report.RatioAtMost(1.3), report.RatioAtLeast(askGoal)
		}
		name := fmt.Sprintf(", %d in flight", inFlight)
		rate := pairs.result("asks"+name, report.PerSecond, rateGoal, operationsPerSecond)
		rate.Notes = pairs.busy(true)
		results = append(results, rate, pairs.result("CPU per ask"+name, report.Microseconds, costGoal, perOperation))
	}
	return results, nil
}

// measureEmit has every connection emit. A handler counts the emits.
func (b *Bench) measureEmit() ([]report.Result, error) {
	var results []report.Result
	for _, together := range []int{1, manyAsks} {
		pairs, err := b.compareNode(targetHandlers, askersOpen(askers),
			load.Command{Action: load.ActionEmit, Outstanding: together, Duration: b.Window})
		if err != nil {
			return results, err
		}
		name := fmt.Sprintf(", %d with an ask", together)
		rate := pairs.result("emits"+name, report.PerSecond, report.Goal{}, operationsPerSecond)
		rate.Notes = pairs.busy(true)
		results = append(results, rate, pairs.result("CPU per emit"+name, report.Microseconds, report.Goal{}, perOperation))
	}
	return results, nil
}

// measureIdleHandlers measures the cost of the first ask of an idle connection,
// and the memory of an idle connection whose namespace has handlers.
func (b *Bench) measureIdleHandlers() ([]report.Result, error) {
	var results []report.Result
	for _, inFlight := range []int{1, outstanding} {
		pairs, err := b.compareNode(targetHandlers, askersOpen(idleAskers),
			load.Command{Action: load.ActionRound, Outstanding: inFlight, Duration: b.Window})
		if err != nil {
			return results, err
		}
		cost := pairs.result(fmt.Sprintf("CPU per ask, %s in turn, %d in flight", report.Thousands(idleAskers), inFlight),
			report.Microseconds, report.Goal{}, perOperation)
		cost.Notes = pairs.busy(false)
		results = append(results, cost)
	}
	for _, variant := range []struct {
		name  string
		which target
		goal  report.Goal
	}{{"with handlers", targetHandlers, report.Goal{}}, {"without", targetStoa, report.AtMost(idleGoal)}} {
		reports, err := b.idleRuns(variant.which, idleRoom, b.Runs)
		if err != nil {
			return results, err
		}
		results = append(results, report.Result{Name: "RSS per connection, " + variant.name, Unit: report.Bytes, Goal: variant.goal,
			Stoa: figures(reports, func(r idleReport) float64 { return r.rss })})
	}
	return results, nil
}
