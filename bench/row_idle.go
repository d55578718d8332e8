//go:build linux

package main

import (
	"fmt"
	"time"
)

const (
	// Connections of one client process, below its limit of open files.
	perLoader = 5000
	idleRoom  = 1000
	// settleLimit is how long a server may take to come to rest.
	settleLimit = 20 * time.Second
	idleGoal    = 800
)

// An idleReport is what one server needed for idle connections, per connection.
type idleReport struct {
	rss, anonymous, heap float64
	cpu                  float64 // microseconds a second; zero if not measured
}

// measureIdle opens many connections and looks at the server's memory.
func (c *controller) measureIdle() ([]line, error) {
	var lines []line
	for _, variant := range []struct {
		name    string
		perRoom int
	}{{"rooms of 1,000", idleRoom}, {"a room each", 1}} {
		reports, err := c.idleRuns(targetStoa, variant.perRoom, c.options.runs)
		if err != nil {
			return lines, err
		}
		// The floor's memory is one table that does not change from run to run.
		floor, err := c.idleRuns(targetFloor, variant.perRoom, 1)
		if err != nil {
			return lines, err
		}
		add := func(name string, u unit, g goal, figure func(idleReport) float64) {
			l := line{name: name + ", " + variant.name, unit: u, goal: g}
			for _, r := range reports {
				l.stoa = append(l.stoa, figure(r))
			}
			for _, r := range floor {
				l.floor = append(l.floor, figure(r))
			}
			lines = append(lines, l)
		}
		add("RSS per connection", unitBytes, goal{goalValueAtMost, idleGoal}, func(r idleReport) float64 { return r.rss })
		add("of it anonymous", unitBytes, goal{}, func(r idleReport) float64 { return r.anonymous })
		add("heap in use", unitBytes, goal{}, func(r idleReport) float64 { return r.heap })
		if c.options.idleCPU > 0 {
			add("CPU per connection and second", unitMicroseconds, goal{goalValueAtMost, 1}, func(r idleReport) float64 { return r.cpu })
		}
	}
	lines[0].notes = []string{fmt.Sprintf("%s connections, held by client processes of %s; memory is read when three samples 0.5 s apart differ by less than 64 KiB each",
		thousands(float64(c.options.idle)), thousands(perLoader)),
		"and the server used less than 1 % of a CPU between them; the kernel's memory for a socket is not part of RSS"}
	return lines, nil
}

func (c *controller) idleRuns(which target, perRoom, runs int) ([]idleReport, error) {
	var reports []idleReport
	for range runs {
		r, err := c.idle(which, perRoom)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", which, err)
		}
		reports = append(reports, r)
	}
	return reports, nil
}

// idle does one run on a fresh server. Connections that came and went, and a
// scrape, bring what a first use costs into the figure from before.
func (c *controller) idle(which target, perRoom int) (idleReport, error) {
	var result idleReport
	s, err := c.startSide(which, c.serverCPU, 1)
	if err != nil {
		return result, err
	}
	defer s.stop()
	if _, err := s.do(command{Action: actionSetUp, Count: 200, Rooms: 50}); err != nil {
		return result, err
	}
	if _, err := s.server.metric(metricHeapInUse); err != nil {
		return result, err
	}
	before, err := settle(s.server.pid(), settleLimit)
	if err != nil {
		return result, err
	}
	heapBefore, err := s.server.metric(metricHeapInUse)
	if err != nil {
		return result, err
	}
	loaders, err := c.openIdle(s.server, perRoom)
	defer func() {
		for _, l := range loaders {
			l.stop()
		}
	}()
	if err != nil {
		return result, err
	}
	after, err := settle(s.server.pid(), settleLimit)
	if err != nil {
		return result, err
	}
	heapAfter, err := s.server.metric(metricHeapInUse)
	if err != nil {
		return result, err
	}
	count := float64(c.options.idle)
	result.rss = float64(after.RSS-before.RSS) / count
	result.anonymous = float64(after.Anonymous-before.Anonymous) / count
	result.heap = (heapAfter - heapBefore) / count
	if c.options.idleCPU > 0 {
		start, err := cpuTime(s.server.pid())
		if err != nil {
			return result, err
		}
		time.Sleep(c.options.idleCPU)
		end, err := cpuTime(s.server.pid())
		if err != nil {
			return result, err
		}
		result.cpu = microseconds(end-start, 1) / count / c.options.idleCPU.Seconds()
	}
	// Idle is worth something only as long as every connection is alive.
	for _, l := range loaders {
		if _, err := l.do(command{Action: actionPing, ServerPID: s.server.pid()}); err != nil {
			return result, err
		}
	}
	return result, nil
}

// openIdle opens the idle connections from several client processes at once. It
// returns the processes that it has started even if it fails.
func (c *controller) openIdle(s *server, perRoom int) ([]loader, error) {
	var loaders []loader
	for first := 0; first < c.options.idle; first += perLoader {
		l, err := startLoader(c.loadCPU)
		if err != nil {
			return loaders, err
		}
		loaders = append(loaders, l)
		err = l.send(command{Action: actionOpen, Address: s.address, ServerPID: s.pid(),
			First: first, Count: min(perLoader, c.options.idle-first), PerRoom: perRoom})
		if err != nil {
			return loaders, err
		}
	}
	for _, l := range loaders {
		if _, err := l.receive(); err != nil {
			return loaders, err
		}
	}
	return loaders, nil
}
