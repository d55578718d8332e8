package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
)

// publisher empties the queue of one server over one connection. A sent message
// stays in the queue until the server has acknowledged it, and at most one
// pipeline is in flight. The queue keeps the messages that were acknowledged
// last, in case the server dies with them. Only these two groups are ever
// repeated, and the order is always that of the queue.
//
// A pipeline is a transaction. A node that subscribes during its execution sees
// all of it or nothing, so a repetition brings the node the missed messages in
// the right order. A server does not execute a transaction that a broken
// connection has sent only in part.
type publisher struct {
	server *server

	// Owned by run.
	link    *link
	conn    *redis.Conn
	trace   linkTrace       // of the previous connection
	batch   []queuedMessage // its memory moves only in provide: the commands point into it
	counts  []*redis.IntCmd
	batched []redis.Cmder // the same commands
	unsure  int           // messages at the front that were sent and may have been lost
	blind   bool          // the missing run ID has been logged
	retry   *backoff
	working bool // the server has accepted a batch on this connection

	// refused is set while the server accepts connections, but no messages.
	refused bool
	// demoted is set when the server has become a replica, until the next
	// connection works.
	demoted bool
	// alone is the time until which messages are sent without a transaction.
	alone time.Duration

	history historyWriter
}

func newPublisher(server *server) *publisher {
	p := &publisher{server: server, retry: newBackoff(server.config().RetryMax)}
	p.provide(maxPipeline)
	return p
}

// provide makes room for a batch of so many messages.
func (p *publisher) provide(size int) {
	if cap(p.batch) >= size {
		return
	}
	p.batch, p.counts, p.batched = make([]queuedMessage, 0, size), nil, nil
	slots := p.batch[:size]
	for i := range slots {
		command := redis.NewIntCmd(context.Background(), "publish", &slots[i].channel, &slots[i].payload)
		p.counts = append(p.counts, command)
		p.batched = append(p.batched, command)
	}
}

// peek copies the next messages into the batch. While a transaction is on its
// way, the messages for the next one gather: the longer the round trip, the
// more of them may be one transaction.
func (p *publisher) peek() {
	growth := p.server.tripTime.growth()
	p.provide(growth * maxPipeline)
	p.batch = p.server.queue.peek(p.batch[:0], growth)
}

// run is the publisher's goroutine.
func (p *publisher) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := p.connect(ctx)
		if err == nil {
			if !p.refused {
				p.server.publishing.set(ctx, nil)
				p.server.announceSoon()
			}
			err = explain(p.serve(ctx))
			p.refused = isReply(err)
			if errors.Is(err, errNotMaster) {
				p.demoted = true
				p.server.subscribing.end()
				p.server.histories.link.end()
			}
		}
		p.disconnect()
		p.server.gate.Store(true)
		p.server.publishing.set(ctx, err)
		p.pause(ctx, p.retry.next(), err)
	}
}

func (p *publisher) connect(ctx context.Context) error {
	s := p.server
	link, err := newLink(ctx, s.config(), s.endpoint, linkOptions{
		name: s.linkName("publisher"), timeout: s.answerTimeout(), previous: &p.trace,
	})
	if err != nil {
		return err
	}
	p.link, p.conn, p.working = link, link.client.Conn(), false
	p.history.expiries = nil // the server may have lost them
	p.history.retryAt = 0
	s.publishing.attach(link)
	stop := context.AfterFunc(ctx, link.dialer.end)
	defer stop()
	if err := p.rehearse(ctx); err != nil {
		return link.explain(err)
	}
	p.takeOver(ctx, link.trace)
	return nil
}

// takeOver decides about the messages that were acknowledged on the previous
// connection. If that was to another Redis process, the process may have died
// before it wrote them to all subscribers.
//
// The same holds if it was to a replica: some nodes may have left it before.
//
// If it was to the same process, they were delivered. A node that was cut off
// must not receive them after later messages, in another order than the other
// nodes.
func (p *publisher) takeOver(ctx context.Context, trace linkTrace) {
	s := p.server
	if p.demoted || trace.elsewhere(&p.trace) {
		p.unsure += s.queue.suspect()
		s.queue.markResent(p.unsure)
		s.histories.link.end() // it leads to the previous process; the next read opens another one
	} else {
		s.queue.forget()
	}
	p.trace, p.demoted = trace, false
	s.subscribing.endElsewhere(&trace)
	if trace.run == "" && !p.blind {
		p.blind = true
		s.config().Logger.LogAttrs(ctx, slog.LevelWarn,
			"Redis user may not read the run ID (INFO): after a crash the last acknowledged messages may be missing",
			slog.String("server", s.endpoint.identity))
	}
}

func (p *publisher) disconnect() {
	if p.link == nil {
		return
	}
	p.server.publishing.attach(nil)
	p.link.end()
	p.link, p.conn = nil, nil
}

// serve publishes until the connection fails or ctx ends.
func (p *publisher) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, p.link.dialer.end)
	defer stop()
	for {
		p.expire()
		if p.server.gate.Load() {
			if err := p.waitForNodes(ctx); err != nil {
				return err
			}
			continue
		}
		if p.history.failing {
			if err := p.resumeHistory(ctx); err != nil {
				return err
			}
		}
		p.peek()
		if len(p.batch) > 1 && p.server.now() < p.alone {
			p.batch = p.batch[:1]
		}
		if len(p.batch) > 0 {
			if err := p.publish(ctx); err != nil {
				return err
			}
			select {
			case request := <-p.server.control:
				if err := request.run(ctx, p.conn); err != nil {
					return err
				}
			default:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.server.queue.wake:
		case request := <-p.server.control:
			if err := request.run(ctx, p.conn); err != nil {
				return err
			}
		}
	}
}

// publish sends the batch, and reports the acknowledgement to the queue.
func (p *publisher) publish(ctx context.Context) error {
	s := p.server
	count := len(p.batch)
	unsure := p.unsure
	repeated := min(unsure, count)
	s.stats.resent.Add(uint64(repeated))
	p.unsure = max(unsure, count)
	began := s.now()
	switch err := p.send(ctx, count, repeated); {
	case redis.IsExecAbortError(err):
		// Nothing was executed.
		p.unsure = unsure
		return p.aborted(ctx, began, count, err)
	case err != nil:
		return err
	}
	p.accepted(ctx)
	ended := s.now()
	s.stats.answerTime.observe((ended - began).Seconds())
	usual := s.tripTime.value()
	s.tripTime.observe(ended - began)
	if ended-began >= s.config().ProbeInterval/2+usual && repeated < count {
		// The cause of the delay may have cost a node its subscription, and the
		// server may have continued before the node was back. It is safe to
		// send the batch again when all nodes are back, and not safe to skip
		// that.
		s.gate.Store(true)
		return nil
	}
	p.unsure = max(0, p.unsure-count)
	p.settleOnce(ctx)
	if p.history.failing {
		p.countUnkept(count)
	}
	s.stats.batchSize.observe(float64(count))
	s.stats.publishTime.observe((ended - p.batch[0].since).Seconds())
	for i := range count {
		if done := p.batch[i].done; done != nil {
			done(int(p.counts[i].Val()), nil)
		}
	}
	bytes, fresh := s.queue.acknowledge(count, ended, s.keptAge())
	s.stats.published.Add(uint64(fresh))
	s.adjust(-bytes)
	return nil
}

// send executes the first commands as one transaction.
func (p *publisher) send(ctx context.Context, count, repeated int) error {
	for _, command := range p.counts[:count] {
		command.SetErr(nil)
	}
	h := &p.history
	h.commands, h.scripts = h.commands[:0], h.scripts[:0]
	stores, scripts := p.keeps(count)
	if stores {
		var err error
		if stores, err = p.stores(ctx); err != nil {
			return err
		}
	}
	if stores || scripts {
		return p.sendKept(ctx, count, repeated, stores)
	}
	if count == 1 {
		return p.conn.Process(ctx, p.counts[0])
	}
	transaction := p.conn.TxPipeline()
	if err := transaction.BatchProcess(ctx, p.batched[:count]...); err != nil {
		return err
	}
	_, err := transaction.Exec(ctx)
	if err == nil {
		p.server.transactions.set(ctx, nil)
	}
	return err
}

// expire drops messages that have waited for too long.
func (p *publisher) expire() {
	s := p.server
	s.awake()
	count := s.queue.expired(s.now() - s.config().QueueAge)
	for count > 0 {
		p.peek()
		dropped := min(count, len(p.batch))
		for i := range dropped {
			if p.batch[i].waiting() {
				s.stats.tooOld.Add(1)
			}
			p.batch[i].fail(cluster.ErrExpired)
		}
		s.adjust(-s.queue.pop(dropped))
		p.unsure = max(0, p.unsure-dropped)
		count -= dropped
	}
}

// pause waits before the next attempt to connect.
func (p *publisher) pause(ctx context.Context, pause time.Duration, reason error) {
	p.expire()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case request := <-p.server.control:
			request.finish(fmt.Errorf("redisbroker: not connected: %w", reason))
		}
	}
}

// controlRequest is a short exchange on the publisher's connection, so that a
// node needs no third connection to a server.
type controlRequest struct {
	call func(ctx context.Context, conn *redis.Conn) error // an error ends the connection
	done func(err error)                                   // must not block; may be nil
}

// run returns an error if the connection must end.
func (r *controlRequest) run(ctx context.Context, conn *redis.Conn) error {
	err := r.call(ctx, conn)
	r.finish(err)
	return err
}

func (r *controlRequest) finish(err error) {
	if r.done != nil {
		r.done(err)
	}
}

const (
	// recentTrips is the number of round trips of which the shortest counts.
	recentTrips = 8
	// growthTrip is the round trip for which a transaction may be longer by
	// maxPipeline.
	growthTrip = 100 * time.Millisecond
)

// tripTime is the time that the way to a server and back takes: the shortest
// of the last round trips, as that contains neither waiting nor a stall. The
// time-outs add it. Only value is safe for concurrent use.
type tripTime struct {
	recent   [recentTrips]time.Duration // 0: none yet; owned by the publisher
	next     int
	shortest atomic.Int64
}

// restart forgets the round trips of the previous connection, which may have
// led elsewhere.
func (r *tripTime) restart(trip time.Duration) {
	r.recent = [recentTrips]time.Duration{}
	r.observe(trip)
}

func (r *tripTime) observe(trip time.Duration) {
	r.recent[r.next] = trip
	r.next = (r.next + 1) % recentTrips
	shortest := trip
	for _, other := range r.recent {
		if other != 0 {
			shortest = min(shortest, other)
		}
	}
	r.shortest.Store(int64(shortest))
}

func (r *tripTime) value() time.Duration { return time.Duration(r.shortest.Load()) }

// growth is the factor by which the limits of a transaction grow.
func (r *tripTime) growth() int { return min(1+int(r.value()/growthTrip), maxGrowth) }
