package redisbroker

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/keyed"
)

// The keys of histories on the server of a channel, under the cluster's prefix:
//
//	<cluster>:h:<channel>         a stream of envelopes; expires after the retention's age
//	<cluster>:hg                  the time up to which messages may be missing in all histories
//	<cluster>:hg:<channel>        the same for one channel
//	<cluster>:o:<channel>:<hash>  the ID of a message that was published once
//
// Package stream describes the entries, package once the IDs, and package keyed
// the keys of the newest message of each key.
const (
	historyKey    = "h:"
	gapKey        = "hg"
	channelGapKey = "hg:"

	// historyIdle is how long the connection for reads may be idle. The network
	// may have dropped an older one without notice.
	historyIdle = 30 * time.Second
	// historyTimeout is the longest time for one request on it.
	historyTimeout = 10 * time.Second
)

// historyMargin is the time by which the life of a key exceeds the age of its
// messages. A message renews it when half of that has passed.
func historyMargin(age time.Duration) time.Duration { return age/8 + time.Millisecond }

// historyLife is the time until a key expires.
func historyLife(age time.Duration) int64 {
	if age > math.MaxInt64/2 {
		age = math.MaxInt64 / 2
	}
	return int64((age + historyMargin(age) + time.Millisecond - 1) / time.Millisecond)
}

// histories are the reads of the histories of a server, on a connection of
// their own: they delay no message. It is opened by the first read.
type histories struct {
	turn chan struct{} // capacity 1: one request at a time
	link linkState     // only for ending the connection

	// Owned by the holder of turn.
	current *link
	forget  func() bool   // ends the wait for the end of the broker
	used    time.Duration // Broker.now of the last request

	noticed atomic.Int64 // Broker.now of the last notice of a gap; 0: none
}

func (h *histories) init() { h.turn = make(chan struct{}, 1) }

// notice notes that a node could not store a message just now.
func (h *histories) notice(now time.Duration) { h.noticed.Store(int64(max(now, 1))) }

// noticedGap returns the time of the server, in milliseconds, up to which
// messages may be missing, as far as this node has been notified; 0 for none.
// While notices arrive, that is any time.
func (s *server) noticedGap(serverNow uint64) uint64 {
	noticed := time.Duration(s.histories.noticed.Load())
	if noticed == 0 {
		return 0
	}
	age := s.now() - noticed
	if age < s.noticeLife() {
		return math.MaxUint64
	}
	// A millisecond more for each rounding.
	return serverNow - min(serverNow, uint64(age/time.Millisecond)) + 2
}

// noticeLife is how long after a notice more of them may follow.
func (s *server) noticeLife() time.Duration { return max(historyRetry, 4*s.config().ProbeInterval) }

// History implements [cluster.Historian]. While the server is unreachable, it
// blocks.
func (b *Broker) History(ctx context.Context, channel string, query cluster.HistoryQuery) (cluster.HistoryPage, error) {
	return onHistory(ctx, b, channel, func(ctx context.Context, s *server) (cluster.HistoryPage, error) {
		return s.readHistory(ctx, channel, query)
	})
}

// RemoveFromHistory implements [cluster.Historian]. If the publisher sends the
// message again after an outage, it returns.
func (b *Broker) RemoveFromHistory(ctx context.Context, channel string, position cluster.Position) (bool, error) {
	return onHistory(ctx, b, channel, func(ctx context.Context, s *server) (bool, error) {
		return s.removeFromHistory(ctx, channel, position)
	})
}

// ClearHistory implements [cluster.Historian].
func (b *Broker) ClearHistory(ctx context.Context, channel string) error {
	_, err := onHistory(ctx, b, channel, func(ctx context.Context, s *server) (struct{}, error) {
		return struct{}{}, s.clearHistory(ctx, channel)
	})
	return err
}

// onHistory runs a call for a channel until it has succeeded, the server has
// refused it, or ctx has ended. The call has a goroutine, because go-redis does
// not notice the end of a context.
func onHistory[T any](ctx context.Context, b *Broker, channel string, call func(context.Context, *server) (T, error)) (result T, err error) {
	if err := b.usable(); err != nil {
		return result, err
	}
	if err := ctx.Err(); err != nil {
		return result, err
	}
	type outcome struct {
		result T
		err    error
	}
	done := make(chan outcome, 1)
	s := b.servers[b.Partition(channel)]
	if !b.goOn(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stop := context.AfterFunc(b.life, cancel)
		defer stop()
		var o outcome
		o.err = s.untilAnswered(ctx, func() (err error) {
			o.result, err = call(ctx, s)
			return err
		})
		done <- o
	}) {
		return result, cluster.ErrClosed
	}
	select {
	case o := <-done:
		if b.life.Err() != nil {
			return result, cluster.ErrClosed
		}
		return o.result, o.err
	case <-ctx.Done():
		return result, ctx.Err()
	case <-b.closing:
		return result, cluster.ErrClosed
	}
}

// goOn runs a goroutine that Close waits for. It returns false if the broker is
// closed.
func (b *Broker) goOn(run func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != stateRunning {
		return false
	}
	b.group.Go(run)
	return true
}

// untilAnswered repeats a call while the server is unreachable.
func (s *server) untilAnswered(ctx context.Context, call func() error) error {
	retry := newBackoff(s.config().RetryMax)
	for {
		err := call()
		if err == nil || answered(err) {
			return err
		}
		if !wait(ctx, retry.next()) {
			return ctx.Err()
		}
	}
}

// answered returns true if a request would fail again: the server works and
// will not become another one.
func answered(err error) bool {
	if permanent(err) {
		return true
	}
	return isReply(err) && !redis.IsLoadingError(err) && !redis.IsReadOnlyError(err) && !redis.IsMasterDownError(err) &&
		!redis.IsMaxClientsError(err) && !errors.Is(err, errNotMaster)
}

// ask makes one request on the connection for reads.
func (h *histories) ask(ctx context.Context, s *server, request func(context.Context, *link) error) error {
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := h.open(ctx, s); err != nil {
		return err
	}
	// The end of a caller must not end the connection.
	err := request(s.broker.life, h.current)
	h.used = s.now()
	if err != nil && !isReply(err) {
		err = h.current.explain(err)
		h.close()
	}
	return err
}

// open opens the connection unless it is open and in use. It is called in turn.
func (h *histories) open(ctx context.Context, s *server) error {
	if h.current != nil && s.now()-h.used < historyIdle && !h.current.dialer.over() {
		return nil
	}
	h.close()
	link, err := newLink(ctx, s.config(), s.endpoint, linkOptions{
		name: s.linkName("history"), timeout: historyTimeout + s.tripTime.value(),
	})
	if err != nil {
		return err
	}
	h.current, h.forget = link, context.AfterFunc(s.broker.life, link.end)
	h.link.attach(link)
	if err := link.client.Ping(s.broker.life).Err(); err != nil && !(link.introduced && isReply(err)) {
		err = link.explain(err)
		h.close()
		return err
	}
	return nil
}

// close ends the connection. It is called in turn.
func (h *histories) close() {
	if h.current != nil {
		h.link.attach(nil)
		h.forget()
		h.current.end()
		h.current = nil
	}
}

// latestEntries returns the newest message of each key within the retention, in
// the order of the channel.
func (r *historyReader) latestEntries(retention *cluster.Retention) (entries []cluster.HistoryEntry) {
	values, malformed := keyed.Values(r.hash)
	r.server.stats.malformed.Add(uint64(malformed))
	bytes := 0
	for i := range values {
		v := &values[i]
		env, ok := r.keyedEnvelope(v)
		if !ok {
			continue
		}
		bytes += len(env.Payload)
		if len(entries) >= retention.Keys || bytes > retention.Bytes || r.now.Sub(v.Time) > retention.Age {
			break
		}
		entries = append(entries, ownEntry(env, v.Time))
	}
	slices.Reverse(entries)
	return entries
}

// keyedEnvelope decodes the newest message of a key.
func (r *historyReader) keyedEnvelope(v *keyed.Value) (env cluster.Envelope, ok bool) {
	var from header
	var err error
	r.scratch, err = decodeEnvelope(v.Data, r.scratch, &from, &env)
	if err != nil || env.Position.IsZero() || env.Key != v.Key {
		r.server.stats.malformed.Add(1)
		return env, false
	}
	return env, true
}

// removeLatest removes a message that is the newest of its key. Without the
// right to read these messages there are none.
func (s *server) removeLatest(ctx context.Context, channel string, position cluster.Position) (removed bool, err error) {
	r := s.newHistoryReader(channel)
	hash, order := s.prefix+keyed.HashKey+channel, s.prefix+keyed.OrderKey+channel
	err = s.histories.ask(ctx, s, func(ctx context.Context, link *link) (err error) {
		r.hash, err = link.client.HGetAll(ctx, hash).Result()
		if redis.IsPermissionError(err) {
			return nil
		}
		return err
	})
	values, _ := keyed.Values(r.hash)
	for i := range values {
		env, ok := r.keyedEnvelope(&values[i])
		if err != nil || !ok || env.Position != position {
			continue
		}
		err = s.histories.ask(ctx, s, func(ctx context.Context, link *link) error {
			count, err := link.client.Eval(ctx, keyed.RemovalScript, []string{hash, order}, values[i].Field(), values[i].Order).Int()
			removed = count > 0
			return err
		})
	}
	return removed, err
}
