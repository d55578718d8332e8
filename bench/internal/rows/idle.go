//go:build linux

package rows

import (
	"fmt"
	"time"

	"github.com/stoa-io/stoa/bench/internal/floor"
	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/bench/internal/rig"
	"github.com/stoa-io/stoa/internal/load"
	"github.com/stoa-io/stoa/internal/load/procstat"
)

const (
	// perLoader is the number of connections per client process, below its
	// limit of open files.
	perLoader = 5000
	idleRoom  = 1000
	// settleLimit is how long a server may take to become idle.
	settleLimit = 20 * time.Second
	idleGoal    = 800
)

// An idleReport is what a server uses per idle connection.
type idleReport struct {
	rss, anonymous, heap float64
	cpu                  float64 // microseconds per second; zero if not measured
}

// measureIdle opens many connections and measures the growth of the server's
// memory.
func (b *Bench) measureIdle() ([]report.Result, error) {
	var results []report.Result
	for _, variant := range []struct {
		name    string
		perRoom int
	}{{"rooms of 1,000", idleRoom}, {"a room each", 1}} {
		reports, err := b.idleRuns(targetStoa, variant.perRoom, b.Runs)
		if err != nil {
			return results, err
		}
		// The floor's memory is one table, which is the same in every run.
		floorReports, err := b.idleRuns(targetFloor, variant.perRoom, 1)
		if err != nil {
			return results, err
		}
		add := func(name string, u report.Unit, g report.Goal, figure func(idleReport) float64) {
			results = append(results, report.Result{Name: name + ", " + variant.name, Unit: u, Goal: g,
				Stoa: figures(reports, figure), Floor: figures(floorReports, figure)})
		}
		add("RSS per connection", report.Bytes, report.AtMost(idleGoal), func(r idleReport) float64 { return r.rss })
		add("of it anonymous", report.Bytes, report.Goal{}, func(r idleReport) float64 { return r.anonymous })
		add("heap in use", report.Bytes, report.Goal{}, func(r idleReport) float64 { return r.heap })
		if b.IdleCPU > 0 {
			add("CPU per connection and second", report.Microseconds, report.AtMost(1), func(r idleReport) float64 { return r.cpu })
		}
	}
	results[0].Notes = []string{fmt.Sprintf("%s connections, held by client processes of %s; memory is read when three samples 0.5 s apart differ by less than 64 KiB each",
		report.Thousands(float64(b.Idle)), report.Thousands(perLoader)),
		"and the server used less than 1 % of a CPU between them; the kernel's memory for a socket is not part of RSS"}
	return results, nil
}

func (b *Bench) idleRuns(which target, perRoom, runs int) ([]idleReport, error) {
	var reports []idleReport
	for range runs {
		r, err := b.idle(which, perRoom)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", which, err)
		}
		reports = append(reports, r)
	}
	return reports, nil
}

// idle does one run on a fresh server. A few short-lived connections and a
// scrape come first, so that the cost of their first use is not counted.
func (b *Bench) idle(which target, perRoom int) (idleReport, error) {
	var result idleReport
	s, err := b.startSide(which, b.ServerCPU, 1)
	if err != nil {
		return result, err
	}
	defer s.stop()
	if _, err := s.do(load.Command{Action: load.ActionSetUp, Count: 200, Rooms: 50}); err != nil {
		return result, err
	}
	if _, err := s.server.Metric(floor.MetricHeapInUse); err != nil {
		return result, err
	}
	before, err := procstat.Settle(s.server.PID(), settleLimit)
	if err != nil {
		return result, err
	}
	heapBefore, err := s.server.Metric(floor.MetricHeapInUse)
	if err != nil {
		return result, err
	}
	loaders, err := b.openIdle(s.server, perRoom)
	defer func() {
		for _, l := range loaders {
			l.Stop()
		}
	}()
	if err != nil {
		return result, err
	}
	after, err := procstat.Settle(s.server.PID(), settleLimit)
	if err != nil {
		return result, err
	}
	heapAfter, err := s.server.Metric(floor.MetricHeapInUse)
	if err != nil {
		return result, err
	}
	count := float64(b.Idle)
	result.rss = float64(after.RSS-before.RSS) / count
	result.anonymous = float64(after.Anonymous-before.Anonymous) / count
	result.heap = (heapAfter - heapBefore) / count
	if b.IdleCPU > 0 {
		start, err := procstat.CPUTime(s.server.PID())
		if err != nil {
			return result, err
		}
		time.Sleep(b.IdleCPU)
		end, err := procstat.CPUTime(s.server.PID())
		if err != nil {
			return result, err
		}
		result.cpu = microseconds(end-start, 1) / count / b.IdleCPU.Seconds()
	}
	// The memory is that of idle connections only if all of them are still
	// alive.
	for _, l := range loaders {
		if _, err := l.Do(load.Command{Action: load.ActionPing, ServerPID: s.server.PID()}); err != nil {
			return result, err
		}
	}
	return result, nil
}

// openIdle opens the idle connections from several client processes
// concurrently. It returns the started processes even if it fails.
func (b *Bench) openIdle(s *rig.Server, perRoom int) ([]rig.Loader, error) {
	var loaders []rig.Loader
	for first := 0; first < b.Idle; first += perLoader {
		l, err := rig.StartLoader(b.LoadCPU)
		if err != nil {
			return loaders, err
		}
		loaders = append(loaders, l)
		err = l.Send(load.Command{Action: load.ActionOpen, Address: s.Address, ServerPID: s.PID(),
			First: first, Count: min(perLoader, b.Idle-first), PerRoom: perRoom})
		if err != nil {
			return loaders, err
		}
	}
	for _, l := range loaders {
		if _, err := l.Receive(); err != nil {
			return loaders, err
		}
	}
	return loaders, nil
}
