package recovery

import (
	"context"
	"sync"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/recovery/ring"
)

const (
	// maxReaders is how many reads of one partition are in progress at a time:
	// a server that does not answer delays only its own rooms.
	maxReaders = 16
	// maxPageReaders is the same for the pages that members ask for, which are
	// large and not urgent: they leave the processors and the other readers to
	// clients that join and come back.
	maxPageReaders = 1
)

// readers run the reads of a partition on a few goroutines that exist only
// while there are any.
type readers struct {
	limit int // goroutines; immutable

	mu      sync.Mutex
	urgent  []func() // guarded by mu; a client waits for them
	later   []func() // guarded by mu
	running int      // guarded by mu
	closed  bool     // guarded by mu
	group   sync.WaitGroup
}

// add runs a task as soon as a reader is free. After close it does nothing.
func (r *readers) add(task func()) { r.enqueue(&r.urgent, task) }

// addLater runs a task when no other one waits. After close it does nothing.
func (r *readers) addLater(task func()) { r.enqueue(&r.later, task) }

func (r *readers) enqueue(queue *[]func(), task func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	*queue = append(*queue, task)
	if r.running < r.limit {
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
		task := pop(&r.urgent)
		if task == nil {
			task = pop(&r.later)
		}
		if task == nil {
			r.running--
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		task()
	}
}

// pop returns nil for an empty queue.
func pop(queue *[]func()) (task func()) {
	q := *queue
	if len(q) == 0 {
		*queue = nil
		return nil
	}
	task, q[0] = q[0], nil
	*queue = q[1:]
	return task
}

// close drops the tasks that wait. wait waits for those in progress.
func (r *readers) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed, r.urgent, r.later = true, nil, nil
}

func (r *readers) wait() { r.group.Wait() }

// History reads a part of the broker's history, and calls done on another
// goroutine, unless Rooms are closed. The queue of reads is not bounded:
// callers bound theirs.
func (r *Rooms) History(channel string, query cluster.HistoryQuery, done func(cluster.HistoryPage, error)) {
	partition, by := r.config.Partition(channel), time.Now().Add(r.config.Timeout)
	r.pages[partition].add(func() { done(r.history(partition, channel, query, by)) })
}

// history reads until a time, or for Config.Timeout if the broker has answered
// others just now: then it is busy, and not dead.
func (r *Rooms) history(partition int, channel string, query cluster.HistoryQuery, by time.Time) (cluster.HistoryPage, error) {
	if now := time.Now(); now.UnixNano()-r.answered[partition].Load() < int64(r.config.Timeout) {
		by = now.Add(r.config.Timeout)
	}
	ctx, cancel := context.WithDeadline(r.ctx, by)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return cluster.HistoryPage{}, err
	}
	r.stats.reads.Add(1)
	page, err := r.config.Historian.History(ctx, channel, query)
	switch {
	case err == nil:
		r.answered[partition].Store(time.Now().UnixNano())
	case r.ctx.Err() == nil:
		r.stats.readErrors.Add(1)
		r.config.Logger.Debug("history not read", "error", err)
	}
	return page, err
}

// read reads a page for a ring.
func (r *Rooms) read(in *room, query cluster.HistoryQuery, by time.Time) (*ring.Page, error) {
	query.Retention, query.Limit = *in.retention, in.retention.Messages
	read, err := r.history(in.partition, in.channel, query, by)
	if err != nil {
		return nil, err
	}
	page := &ring.Page{
		Found: read.Found, More: read.More, Head: read.Head, Now: time.Now().UnixMilli(), HasLatest: query.Latest,
	}
	for i := range read.Entries {
		entry := &read.Entries[i]
		page.Messages = append(page.Messages, r.config.NewMessage(&entry.Envelope, entry.Time))
	}
	if len(read.Latest) > 0 {
		r.addLatest(page, read.Latest)
	}
	return page, nil
}

// addLatest adds the newest messages of the keys to a page. Those that it has
// anyway are not copied.
func (r *Rooms) addLatest(page *ring.Page, entries []cluster.HistoryEntry) {
	own := make(map[cluster.Position]*ring.Message, len(page.Messages))
	for _, m := range page.Messages {
		own[m.Position] = m
	}
	for i := range entries {
		m := own[entries[i].Envelope.Position]
		if m == nil {
			m = r.config.NewMessage(&entries[i].Envelope, entries[i].Time)
		}
		page.Latest = append(page.Latest, m)
	}
}
