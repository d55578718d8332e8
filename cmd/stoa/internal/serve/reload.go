package serve

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/stoa-io/stoa/cmd/stoa/internal/control"
	"github.com/stoa-io/stoa/cmd/stoa/internal/settings"
	"github.com/stoa-io/stoa/config"
	"github.com/stoa-io/stoa/node"
)

// maxMistakes bounds the log of one reload that fails.
const maxMistakes = 20

// reloader puts a changed configuration in force while the node runs.
type reloader struct {
	flags    *settings.Flags
	server   *node.Node
	verified *authentication
	level    *slog.LevelVar
	pages    *pages
	log      *slog.Logger
	metrics  *reloadMetrics

	mu      sync.Mutex     // held during a reload
	current *config.Config // guarded by mu
	ended   bool           // guarded by mu
}

// end makes later reloads fail, and waits for one in progress. It returns the
// configuration in force.
func (r *reloader) end() *config.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	return r.current
}

// onHangUp reloads for each signal until ctx ends. Signals during a reload are
// one.
func (r *reloader) onHangUp(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-hangups:
			r.reload()
		case <-ctx.Done():
			return
		}
	}
}

// reload reads the configuration again, and logs and counts the outcome. Calls
// take turns.
func (r *reloader) reload() *control.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return &control.Result{Failure: "the node shuts down"}
	}
	changes, err := r.replace()
	result := resultOf(changes, err)
	r.metrics.count(result, time.Now())
	switch {
	case result.Failure != "":
		r.log.Error("configuration not reloaded: the previous one stays in force", "error", result.Failure)
	case result.Failed():
		for i, mistake := range result.Mistakes {
			if i == maxMistakes {
				r.log.Error("further mistakes are not logged", "mistakes", len(result.Mistakes)-i)
				break
			}
			r.log.Error("configuration not reloaded: the previous one stays in force", "mistake", mistake)
		}
	default:
		r.log.Info("configuration reloaded", "changed", result.Changed)
		for _, p := range result.Restart {
			r.log.Warn("a key needs a restart: its previous value stays in force",
				"key", p.Key, "running", p.Running, "wanted", p.Wanted, "origin", p.Origin)
		}
	}
	return result
}

func resultOf(changes []config.Change, err error) *control.Result {
	var mistakes config.Errors
	switch {
	case errors.As(err, &mistakes):
		return &control.Result{Mistakes: mistakes.Lines()}
	case err != nil:
		return &control.Result{Failure: err.Error()}
	}
	result := new(control.Result)
	for _, change := range changes {
		if change.Restart {
			result.Restart = append(result.Restart, control.Pending{
				Key: change.Key, Running: change.Old, Wanted: change.New, Origin: change.Origin.String(),
			})
			continue
		}
		result.Changed = append(result.Changed, change.Key)
	}
	return result
}

// replace puts the configuration in force, or returns why nothing has changed.
// Each part that can fail does so before the first one is in force.
func (r *reloader) replace() ([]config.Change, error) {
	read, err := r.flags.Load()
	if err != nil {
		return nil, err
	}
	next, changes, err := r.current.Reload(read)
	if err != nil {
		return nil, err
	}
	authenticate, err := r.verified.prepare(next)
	if err != nil {
		return nil, err
	}
	if err := r.awaitServing(); err != nil {
		return nil, err
	}
	if next.TLS.Cert != "" {
		if err := r.server.ReplaceCertificate(next.TLS.Cert, next.TLS.Key); err != nil {
			return nil, err
		}
	}
	// From here on only a node that ends fails: the rest is checked. New keys
	// come first, so that no client with a valid token meets old ones.
	if err := authenticate(); err != nil {
		return nil, err
	}
	if err := r.server.Update(nodeSettings(r.server, next)); err != nil {
		return nil, err
	}
	r.pages.show(next)
	r.level.Set(next.LogLevel())
	r.current = next
	return changes, nil
}

// nodeSettings are those of a configuration, for a running node.
func nodeSettings(server *node.Node, c *config.Config) node.Settings {
	s, next := server.Settings(), c.Node()
	header, queues, history := s.Limits.Header, s.Limits.QueueMemory, s.Limits.HistoryMemory
	for name, o := range next.Namespaces {
		o.History, o.Presence = s.Namespaces[name].History, s.Namespaces[name].Presence
		next.Namespaces[name] = o
	}
	s.Namespaces, s.Limits = next.Namespaces, next.Limits
	s.AllowOrigins, s.AllowHosts, s.TrustedProxies = next.AllowOrigins, next.AllowHosts, next.TrustedProxies
	// They are fixed, and the defaults may depend on the memory of the moment.
	s.Limits.Header, s.Limits.QueueMemory, s.Limits.HistoryMemory = header, queues, history
	return s
}

// awaitServing waits until the node serves: a reload may begin while it starts.
func (r *reloader) awaitServing() error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	ended, cancel := context.WithCancel(context.Background())
	cancel() // the state of the broker does not matter
	for {
		switch err := r.server.Ready(ended); {
		case errors.Is(err, node.ErrDraining):
			return errors.New("the node shuts down")
		case !errors.Is(err, node.ErrNotServing):
			return nil
		}
		<-ticker.C
	}
}
