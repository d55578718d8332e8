//go:build linux

package rows

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/internal/load"
	"github.com/stoa-io/stoa/internal/load/protocol"
)

// measureHistory loads a room that keeps its messages as measureOne and
// measureMany do, next to a node whose room keeps none: once with members that
// know positions, and once with members that do not.
func (b *Bench) measureHistory() ([]report.Result, error) {
	path := filepath.Join(b.Dir, "history.yaml")
	config := fmt.Sprintf("namespaces: {%s: {relay: [rooms], history: {messages: 100}}}\n", protocol.Namespace)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	var results []report.Result
	for _, positions := range []bool{true, false} {
		members := "members without positions"
		if positions {
			members = "members with positions"
		}
		one, many, err := b.compareHistory(path, positions)
		if err != nil {
			return results, err
		}
		cost := one.result("CPU per delivery, "+members, report.Microseconds, report.RatioAtMost(1.1), perDelivery)
		rate := many.result("deliveries, 64 outstanding, "+members, report.PerSecond, report.RatioAtLeast(0.9), deliveriesPerSecond)
		rate.Notes = many.busy(true)
		if positions {
			cost.Notes = []string{"the floor is stoa without history, and members without positions"}
		}
		results = append(results, cost, rate)
	}
	return results, nil
}

// compareHistory measures a node with history next to one without, with one
// message outstanding and with many.
func (b *Bench) compareHistory(config string, positions bool) (one, many comparison, err error) {
	var sides [2]*side
	for i, flags := range [][]string{{"--config", config}, nil} {
		s, err := b.startSide(targetStoa, b.ServerCPU, 1, flags...)
		if err != nil {
			return one, many, err
		}
		defer s.stop()
		s.positions = positions && i == 0
		sides[i] = s
	}
	run := load.Command{Action: load.ActionPublish, Outstanding: 1, Duration: b.Window}
	if one, err = b.compareSides(sides[0], sides[1], b.largeRoom(), run); err != nil {
		return one, many, err
	}
	run.Outstanding = outstanding
	many, err = b.compareSides(sides[0], sides[1], nil, run)
	return one, many, err
}
