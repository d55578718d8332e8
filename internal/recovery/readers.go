package recovery

import (
	"context"
	"sync"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/recovery/ring"
)

// maxReaders is how many reads of the broker are in progress at a time.
const maxReaders = 16

// readers run reads on a few goroutines that exist only while there are any.
type readers struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	queue   []func() // guarded by mu
	running int      // guarded by mu
	closed  bool     // guarded by mu
	group   sync.WaitGroup
}

// add runs a task soon. After close it does nothing.
func (r *readers) add(task func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.queue = append(r.queue, task)
	if r.running < maxReaders {
		r.running++
		r.group.Go(r.run)
	}
}

// start runs a task on a goroutine of its own. After close it does nothing.
func (r *readers) start(task func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.group.Go(task)
	}
}

func (r *readers) run() {
	for {
		r.mu.Lock()
		if len(r.queue) == 0 {
			r.running--
			r.queue = nil
			r.mu.Unlock()
			return
		}
		task := r.queue[0]
		r.queue[0] = nil
		r.queue = r.queue[1:]
		r.mu.Unlock()
		task()
	}
}

func (r *readers) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.group.Wait()
}

// History reads a part of the broker's history, and calls done on another
// goroutine, unless Rooms are closed. The queue of reads is not bounded:
// callers bound theirs.
func (r *Rooms) History(channel string, query cluster.HistoryQuery, done func(cluster.HistoryPage, error)) {
	r.readers.add(func() { done(r.history(channel, query)) })
}

func (r *Rooms) history(channel string, query cluster.HistoryQuery) (cluster.HistoryPage, error) {
	ctx, cancel := context.WithTimeout(r.readers.ctx, r.config.Timeout)
	defer cancel()
	r.stats.reads.Add(1)
	page, err := r.config.Historian.History(ctx, channel, query)
	if err != nil && r.readers.ctx.Err() == nil {
		r.stats.readErrors.Add(1)
		r.config.Logger.Debug("history not read", "error", err)
	}
	return page, err
}

// read reads a page for a ring.
func (r *Rooms) read(channel string, query cluster.HistoryQuery) (*ring.Page, error) {
	read, err := r.history(channel, query)
	if err != nil {
		return nil, err
	}
	page := &ring.Page{Found: read.Found, More: read.More, Head: read.Head}
	for i := range read.Entries {
		entry := &read.Entries[i]
		page.Messages = append(page.Messages, r.config.NewMessage(&entry.Envelope, entry.Time))
	}
	return page, nil
}
