package cluster_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/node"
)

// keepingProgram is a place whose node is the real program, which may be ended
// and started again.
type keepingProgram struct {
	t         testing.TB
	id        string
	arguments []string

	mu  sync.Mutex
	run *program // guarded by mu; nil while it is down
}

func startKeepingProgram(t testing.TB, id string, server *redistest.Server) *keepingProgram {
	t.Helper()
	file := filepath.Join(t.TempDir(), "stoa.yaml")
	if err := os.WriteFile(file, []byte(keptConfiguration), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &keepingProgram{t: t, id: id, arguments: []string{"--config", file, "--redis", server.URL()}}
	p.start()
	return p
}

// start returns when the node is ready.
func (p *keepingProgram) start() {
	p.t.Helper()
	run := startProgram(p.t, p.id, p.arguments...)
	run.awaitReady(p.t, 200)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.run = run
}

// take returns the process, which no new client visits.
func (p *keepingProgram) take() *program {
	p.mu.Lock()
	defer p.mu.Unlock()
	run := p.run
	p.run = nil
	return run
}

func (p *keepingProgram) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return ""
	}
	return p.run.address
}

func (p *keepingProgram) stats() node.HistoryStats {
	return node.HistoryStats{
		Reads: uint64(p.metric("stoa_history_reads_total")), Repaired: uint64(p.metric("stoa_history_repaired_total")),
		Gaps: uint64(p.metric("stoa_history_gaps_total")),
	}
}

// metric returns a metric of the node that has no labels.
func (p *keepingProgram) metric(name string) float64 {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	_, metrics := p.run.page(p.t, "/metrics")
	for line := range strings.Lines(metrics) {
		if text, found := strings.CutPrefix(line, name+" "); found {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return value
		}
	}
	p.t.Fatalf("the node has no metric %s", name)
	return 0
}

// startProgramLedger begins with three programs.
func startProgramLedger(t testing.TB) (l *ledger, programs []*keepingProgram) {
	t.Helper()
	server := redistest.Start(t)
	l = newLedger(t)
	l.ending = true
	for i := range 3 {
		p := startKeepingProgram(t, fmt.Sprint("n", i), server)
		programs = append(programs, p)
		l.places = append(l.places, p)
	}
	l.start()
	return l, programs
}

// TestRecoveryOfKilledNode: the clients of a node that is killed go on with
// others, and then also with the one that takes its place. Messages that it had
// not published are lost for all.
func TestRecoveryOfKilledNode(t *testing.T) {
	t.Parallel()
	l, programs := startProgramLedger(t)
	l.phase()
	programs[0].take().Kill()
	l.phase()
	programs[0].start()
	l.phase()
	l.finish()
	l.expectNoNotice()
}

// TestRecoveryInRollingRestart: all nodes are replaced, one after the other.
func TestRecoveryInRollingRestart(t *testing.T) {
	t.Parallel()
	l, programs := startProgramLedger(t)
	for _, p := range programs {
		l.phase()
		p.take().stop(t)
		p.start()
	}
	l.phase()
	l.finish()
	l.expectNoNotice()
}
