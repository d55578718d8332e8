//go:build linux

package main

import "fmt"

const (
	askers = 200
	// manyAsks are those of one connection where many are under way.
	manyAsks = 16
	// idleAskers take turns, so that each is idle when it asks.
	idleAskers = 5000
	// The goal was set beside a server with a goroutine for each connection, which
	// reached 0.76 of the floor's rate: 1.1 times that.
	askGoal = 0.83
)

func operationsPerSecond(r report) float64 { return float64(r.Operations) / r.Elapsed.Seconds() }

func askersOpen(count int) *command {
	return &command{Action: actionOpen, Count: count, Rooms: 1, Outside: true}
}

// measureAsk: every connection asks, and a handler answers with what it was asked.
func (c *controller) measureAsk() ([]line, error) {
	var lines []line
	for _, under := range []int{1, manyAsks} {
		result, err := c.compareNode(targetHandlers, askersOpen(askers),
			command{Action: actionAsk, Outstanding: under, Duration: c.options.window})
		if err != nil {
			return lines, err
		}
		costGoal, rateGoal := goal{}, goal{}
		if under == 1 {
			costGoal, rateGoal = goal{goalRatioAtMost, 1.3}, goal{goalRatioAtLeast, askGoal}
		}
		name := fmt.Sprintf(", %d under way", under)
		rate := result.line("asks"+name, unitPerSecond, rateGoal, operationsPerSecond)
		rate.notes = result.busy(true)
		lines = append(lines, rate, result.line("CPU per ask"+name, unitMicroseconds, costGoal, perOperation))
	}
	return lines, nil
}

// measureEmit: every connection emits, and a handler counts.
func (c *controller) measureEmit() ([]line, error) {
	var lines []line
	for _, together := range []int{1, manyAsks} {
		result, err := c.compareNode(targetHandlers, askersOpen(askers),
			command{Action: actionEmit, Outstanding: together, Duration: c.options.window})
		if err != nil {
			return lines, err
		}
		name := fmt.Sprintf(", %d with an ask", together)
		rate := result.line("emits"+name, unitPerSecond, goal{}, operationsPerSecond)
		rate.notes = result.busy(true)
		lines = append(lines, rate, result.line("CPU per emit"+name, unitMicroseconds, goal{}, perOperation))
	}
	return lines, nil
}

// measureIdleHandlers: what the first message of an idle connection costs, and
// what a connection with handlers takes while there is none.
func (c *controller) measureIdleHandlers() ([]line, error) {
	var lines []line
	for _, under := range []int{1, outstanding} {
		result, err := c.compareNode(targetHandlers, askersOpen(idleAskers),
			command{Action: actionRound, Outstanding: under, Duration: c.options.window})
		if err != nil {
			return lines, err
		}
		cost := result.line(fmt.Sprintf("CPU per ask, %s in turn, %d under way", thousands(idleAskers), under),
			unitMicroseconds, goal{}, perOperation)
		cost.notes = result.busy(false)
		lines = append(lines, cost)
	}
	for _, variant := range []struct {
		name  string
		which target
		goal  goal
	}{{"with handlers", targetHandlers, goal{}}, {"without", targetStoa, goal{goalValueAtMost, idleGoal}}} {
		reports, err := c.idleRuns(variant.which, idleRoom, c.options.runs)
		if err != nil {
			return lines, err
		}
		rss := line{name: "RSS per connection, " + variant.name, unit: unitBytes, goal: variant.goal}
		for _, r := range reports {
			rss.stoa = append(rss.stoa, r.rss)
		}
		lines = append(lines, rss)
	}
	return lines, nil
}
