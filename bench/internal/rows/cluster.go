//go:build linux

package rows

import (
	"fmt"

	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/bench/internal/rig"
	"github.com/stoa-io/stoa/internal/load"
)

const (
	clusterMembers = 1000 // on each node that has members
	// Goals in deliveries per second, with 64 messages outstanding.
	bothNodesGoal = 1_200_000
	otherNodeGoal = 1_500_000
)

// clusterVariant places the members of the one room. The publisher is always on
// node A.
type clusterVariant struct {
	name  string
	nodes []int // with members
	goal  float64
}

// measureCluster loads a room on two nodes. Every message passes through Redis.
func (b *Bench) measureCluster() ([]report.Result, error) {
	var results []report.Result
	var notes []string
	for _, variant := range []clusterVariant{
		{"both nodes", []int{nodeA, nodeB}, bothNodesGoal},
		{"other node", []int{nodeB}, otherNodeGoal},
	} {
		f, err := b.startFleet(fleetCPUs{redis: b.ServerCPU, nodes: [fleetNodes]rig.CPUSet{b.ServerCPU, b.ServerCPU}, load: b.LoadCPU})
		if err != nil {
			return results, err
		}
		more, busy, err := b.clusterVariant(f, variant)
		f.stop()
		results, notes = append(results, more...), append(notes, busy...)
		if err != nil {
			return results, fmt.Errorf("%s: %w", variant.name, err)
		}
	}
	last := &results[len(results)-1]
	last.Notes = append(notes,
		fmt.Sprintf("Redis and both nodes share %v, the client has %v; %s members on each node that has any, the publisher is on node A",
			b.ServerCPU, b.LoadCPU, report.Thousands(clusterMembers)),
		"both nodes: the members are on both; other node: they are on node B alone",
		"CPU of a node with members is per delivery that it made itself, latencies are from before the publisher's write to after a member's read")
	return results, nil
}

func (b *Bench) clusterVariant(f *fleet, variant clusterVariant) (results []report.Result, notes []string, err error) {
	for i, node := range variant.nodes {
		if err := f.open(node, load.Command{Count: clusterMembers, First: i * clusterMembers, Rooms: 1}); err != nil {
			return nil, nil, err
		}
	}
	if err := f.open(nodeA, load.Command{Rooms: 1, Publishers: true}); err != nil {
		return nil, nil, err
	}
	for _, count := range []int{1, outstanding} {
		reports, err := f.runs(b, load.Command{Action: load.ActionPublish, Outstanding: count, Duration: b.Window, Latencies: true})
		if err != nil {
			return results, notes, err
		}
		name := fmt.Sprintf("%s, %d outstanding", variant.name, count)
		rateGoal := report.Goal{}
		if count == outstanding {
			rateGoal = report.AtLeast(variant.goal)
		}
		results = append(results,
			fleetResult(reports, name+": deliveries", report.PerSecond, rateGoal, func(r fleetReport) float64 { return deliveriesPerSecond(r.Report) }))
		for _, node := range []int{nodeA, nodeB} {
			results = append(results, variant.nodeResult(reports, node))
		}
		results = append(results,
			fleetResult(reports, "Redis, CPU per delivery", report.Nanoseconds, report.Goal{}, func(r fleetReport) float64 { return 1000 * microseconds(r.redis, r.Deliveries) }),
			fleetResult(reports, "latency, p50", report.Milliseconds, report.Goal{}, func(r fleetReport) float64 { return milliseconds(r.P50) }),
			fleetResult(reports, "latency, p99", report.Milliseconds, report.Goal{}, func(r fleetReport) float64 { return milliseconds(r.P99) }))
		notes = append(notes, fleetBusy(name, reports))
	}
	return results, notes, nil
}

// nodeResult returns the CPU time of a node per delivery that it makes, or per
// message if it makes none.
func (v clusterVariant) nodeResult(reports []fleetReport, node int) report.Result {
	name := [fleetNodes]string{nodeA: "node A", nodeB: "node B"}[node]
	for _, other := range v.nodes {
		if other == node {
			return fleetResult(reports, name+", CPU per delivery", report.Microseconds, report.Goal{}, func(r fleetReport) float64 {
				return microseconds(r.nodes[node], r.Deliveries/uint64(len(v.nodes)))
			})
		}
	}
	return fleetResult(reports, name+", CPU per message published", report.Microseconds, report.Goal{}, func(r fleetReport) float64 {
		return microseconds(r.nodes[node], r.Messages)
	})
}
