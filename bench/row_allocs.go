//go:build linux

package main

// measureAllocations counts the server's heap allocations over many messages. A
// scrape of /metrics allocates too; two in a row tell how much.
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
	run := command{Action: actionPublish, Outstanding: 8, Duration: c.options.window}
	if _, err := s.do(run); err != nil {
		return nil, nil, err
	}
	for range c.options.runs {
		var counts [3]float64
		var r report
		for i := range counts {
			if i == 2 {
				if r, err = s.do(run); err != nil {
					return nil, nil, err
				}
			}
			if counts[i], err = s.server.metric(metricMallocs); err != nil {
				return nil, nil, err
			}
		}
		allocated := counts[2] - counts[1] - (counts[1] - counts[0])
		perMessage = append(perMessage, allocated/float64(r.Messages))
		perDelivery = append(perDelivery, allocated/float64(r.Deliveries))
	}
	return perMessage, perDelivery, nil
}
