//go:build linux

package main

// scrapes of /metrics for one run: the last one follows the messages, those before
// it tell how much a scrape allocates itself.
const scrapes = 6

// measureAllocations counts the server's heap allocations over many messages.
func (c *controller) measureAllocations() ([]line, error) {
	small, _, err := c.allocations(smallRoomsOpen())
	if err != nil {
		return nil, err
	}
	large, perDelivery, err := c.allocations(c.largeRoom())
	if err != nil {
		return nil, err
	}
	return []line{
		{name: "per message, 200 rooms of 10", unit: unitCount, stoa: small, goal: goal{goalValueAtMost, 3}},
		{name: "per message, large room", unit: unitCount, stoa: large, goal: goal{goalValueAtMost, 3}},
		// A message's own allocations spread over its deliveries, and what the
		// runtime allocates by the way, are not allocations per delivery.
		{name: "per delivery, large room", unit: unitCount, stoa: perDelivery, goal: goal{goalValueAtMost, 0.01}},
	}, nil
}

func (c *controller) allocations(open *command) (perMessage, perDelivery []float64, err error) {
	s, err := c.startSide(targetStoa, c.serverCPU, 1)
	if err != nil {
		return nil, nil, err
	}
	defer s.stop()
	if _, err := s.do(*open); err != nil {
		return nil, nil, err
	}
	run := command{Action: actionPublish, Outstanding: outstanding, Duration: c.options.window}
	if _, err := s.do(run); err != nil {
		return nil, nil, err
	}
	for range c.options.runs {
		var counts [scrapes]float64
		var r report
		for i := range counts {
			if i == scrapes-1 {
				if r, err = s.do(run); err != nil {
					return nil, nil, err
				}
			}
			if counts[i], err = s.server.metric(metricMallocs); err != nil {
				return nil, nil, err
			}
		}
		allocated := counts[scrapes-1] - counts[scrapes-2] - scrapeCost(counts[:scrapes-1])
		perMessage = append(perMessage, allocated/float64(r.Messages))
		perDelivery = append(perDelivery, allocated/float64(r.Deliveries))
	}
	return perMessage, perDelivery, nil
}

// scrapeCost is the median of what one scrape adds to the count of allocations.
// The first scrape may open a connection and is left out.
func scrapeCost(counts []float64) float64 {
	var costs []float64
	for i := 2; i < len(counts); i++ {
		costs = append(costs, counts[i]-counts[i-1])
	}
	return median(costs)
}
