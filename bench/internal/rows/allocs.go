//go:build linux

package rows

import (
	"github.com/stoa-io/stoa/bench/internal/floor"
	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/internal/load"
)

// scrapes is the number of scrapes of /metrics per run. The last one follows
// the messages; the others show how much a scrape itself allocates.
const scrapes = 6

// measureAllocations counts the server's heap allocations over many messages.
func (b *Bench) measureAllocations() ([]report.Result, error) {
	small, _, err := b.allocations(smallRoomsOpen())
	if err != nil {
		return nil, err
	}
	large, perDelivery, err := b.allocations(b.largeRoom())
	if err != nil {
		return nil, err
	}
	return []report.Result{
		{Name: "per message, 200 rooms of 10", Unit: report.Count, Stoa: small, Goal: report.AtMost(3)},
		{Name: "per message, large room", Unit: report.Count, Stoa: large, Goal: report.AtMost(3)},
		// The goal is above zero: a message's own allocations are spread over
		// its deliveries, and the runtime allocates too.
		{Name: "per delivery, large room", Unit: report.Count, Stoa: perDelivery, Goal: report.AtMost(0.01)},
	}, nil
}

func (b *Bench) allocations(open *load.Command) (perMessage, perDelivery []float64, err error) {
	s, err := b.startSide(targetStoa, b.ServerCPU, 1)
	if err != nil {
		return nil, nil, err
	}
	defer s.stop()
	if _, err := s.do(*open); err != nil {
		return nil, nil, err
	}
	run := load.Command{Action: load.ActionPublish, Outstanding: outstanding, Duration: b.Window}
	if _, err := s.do(run); err != nil {
		return nil, nil, err
	}
	for range b.Runs {
		var counts [scrapes]float64
		var r load.Report
		for i := range counts {
			if i == scrapes-1 {
				if r, err = s.do(run); err != nil {
					return nil, nil, err
				}
			}
			if counts[i], err = s.server.Metric(floor.MetricMallocs); err != nil {
				return nil, nil, err
			}
		}
		allocated := counts[scrapes-1] - counts[scrapes-2] - scrapeCost(counts[:scrapes-1])
		perMessage = append(perMessage, allocated/float64(r.Messages))
		perDelivery = append(perDelivery, allocated/float64(r.Deliveries))
	}
	return perMessage, perDelivery, nil
}

// scrapeCost returns the median number of allocations of one scrape. It skips
// the first scrape, which may open a connection.
func scrapeCost(counts []float64) float64 {
	var costs []float64
	for i := 2; i < len(counts); i++ {
		costs = append(costs, counts[i]-counts[i-1])
	}
	return report.Median(costs)
}
