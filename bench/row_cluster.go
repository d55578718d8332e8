//go:build linux

package main

import "fmt"

const (
	clusterMembers = 1000 // on each node that has members
	// Deliveries a second that are wanted with 64 messages outstanding.
	bothNodesGoal = 1_200_000
	otherNodeGoal = 1_500_000
)

// clusterVariant is where the members of the one room are; the publisher is always
// on node A.
type clusterVariant struct {
	name  string
	nodes []int // that have members
	goal  float64
}

// measureCluster: a room on two nodes, every message passes Redis.
func (c *controller) measureCluster() ([]line, error) {
	var lines []line
	var notes []string
	for _, variant := range []clusterVariant{
		{"both nodes", []int{nodeA, nodeB}, bothNodesGoal},
		{"other node", []int{nodeB}, otherNodeGoal},
	} {
		f, err := c.startFleet(fleetCPUs{redis: c.serverCPU, nodes: [fleetNodes]cpuSet{c.serverCPU, c.serverCPU}, load: c.loadCPU})
		if err != nil {
			return lines, err
		}
		more, busy, err := c.clusterVariant(f, variant)
		f.stop()
		lines, notes = append(lines, more...), append(notes, busy...)
		if err != nil {
			return lines, fmt.Errorf("%s: %w", variant.name, err)
		}
	}
	last := &lines[len(lines)-1]
	last.notes = append(notes,
		fmt.Sprintf("Redis and both nodes share %v, the client has %v; %s members on each node that has any, the publisher is on node A",
			c.serverCPU, c.loadCPU, thousands(clusterMembers)),
		"both nodes: the members are on both; other node: they are on node B alone",
		"CPU of a node with members is per delivery that it made itself, latencies are from before the publisher's write to after a member's read")
	return lines, nil
}

func (c *controller) clusterVariant(f *fleet, variant clusterVariant) (lines []line, notes []string, err error) {
	for i, node := range variant.nodes {
		if err := f.open(node, command{Count: clusterMembers, First: i * clusterMembers, Rooms: 1}); err != nil {
			return nil, nil, err
		}
	}
	if err := f.open(nodeA, command{Rooms: 1, Publishers: true}); err != nil {
		return nil, nil, err
	}
	for _, count := range []int{1, outstanding} {
		reports, err := f.runs(c, command{Action: actionPublish, Outstanding: count, Duration: c.options.window, Latencies: true})
		if err != nil {
			return lines, notes, err
		}
		name := fmt.Sprintf("%s, %d outstanding", variant.name, count)
		rateGoal := goal{}
		if count == outstanding {
			rateGoal = goal{goalValueAtLeast, variant.goal}
		}
		lines = append(lines,
			fleetLine(reports, name+": deliveries", unitPerSecond, rateGoal, func(r fleetReport) float64 { return deliveriesPerSecond(r.report) }))
		for _, node := range []int{nodeA, nodeB} {
			lines = append(lines, variant.nodeLine(reports, node))
		}
		lines = append(lines,
			fleetLine(reports, "Redis, CPU per delivery", unitNanoseconds, goal{}, func(r fleetReport) float64 { return 1000 * microseconds(r.redis, r.Deliveries) }),
			fleetLine(reports, "latency, p50", unitMilliseconds, goal{}, func(r fleetReport) float64 { return milliseconds(r.P50) }),
			fleetLine(reports, "latency, p99", unitMilliseconds, goal{}, func(r fleetReport) float64 { return milliseconds(r.P99) }))
		notes = append(notes, fleetBusy(name, reports))
	}
	return lines, notes, nil
}

// nodeLine is what a node needs for each of its deliveries, or for each message if
// it has none.
func (v clusterVariant) nodeLine(reports []fleetReport, node int) line {
	name := [fleetNodes]string{nodeA: "node A", nodeB: "node B"}[node]
	for _, other := range v.nodes {
		if other == node {
			return fleetLine(reports, name+", CPU per delivery", unitMicroseconds, goal{}, func(r fleetReport) float64 {
				return microseconds(r.nodes[node], r.Deliveries/uint64(len(v.nodes)))
			})
		}
	}
	return fleetLine(reports, name+", CPU per message published", unitMicroseconds, goal{}, func(r fleetReport) float64 {
		return microseconds(r.nodes[node], r.Messages)
	})
}
