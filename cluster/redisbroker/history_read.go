package redisbroker

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/keyed"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/stream"
)

// historyReader reads one history, from its newest entry on.
type historyReader struct {
	server  *server
	channel string
	key     string

	paging  stream.Paging
	repeats stream.Repeats
	scratch []byte
	now     time.Time // of the server, before the first page
	gap     uint64    // see stream.NewSelection
	run     string    // the process of the server; empty if not known
	last    stream.ID // of the last entry that was read
	pages   int
	ended   bool // the stream has no older entries

	// latest asks begin for the hash of the newest message of each key.
	latest bool
	hash   map[string]string
}

func (s *server) newHistoryReader(channel string) *historyReader {
	return &historyReader{server: s, channel: channel, key: s.prefix + historyKey + channel}
}

// readHistory reads a page.
func (s *server) readHistory(ctx context.Context, channel string, query cluster.HistoryQuery) (page cluster.HistoryPage, err error) {
	r := s.newHistoryReader(channel)
	r.latest = query.Latest
	wanted := 0
	if query.After.IsZero() && query.Before.IsZero() && !query.Oldest {
		wanted = max(query.Limit, 0) + 1
	}
	entries, err := r.begin(ctx, wanted)
	if err != nil {
		return page, err
	}
	selection := stream.NewSelection(query, uint64(r.now.UnixMilli()), r.gap)
	for more := true; more; {
		if more, err = r.add(ctx, selection, entries); err != nil {
			return page, err
		}
		if r.ended {
			break
		}
		if more {
			if entries, err = r.next(ctx, r.last, wanted); err != nil {
				return page, err
			}
		}
	}
	page.Found = selection.Found()
	if err := r.starts(ctx, &query, selection, &page); err != nil {
		return page, err
	}
	var selected []stream.Entry
	selected, page.More = selection.Entries()
	page.Entries = make([]cluster.HistoryEntry, 0, len(selected))
	for i := range selected {
		page.Entries = append(page.Entries, r.message(&selected[i]))
	}
	page.Latest = r.latestEntries(&query.Retention)
	return page, nil
}

// add passes entries to the selection. It returns false if that needs no more.
func (r *historyReader) add(ctx context.Context, selection *stream.Selection, entries []stream.Entry) (more bool, err error) {
	for i := range entries {
		e := &entries[i]
		if e.Kind == stream.Again && !r.repeats.Covers(e.ID) {
			if err := r.resolve(ctx, entries[i:]); err != nil {
				return false, err
			}
		}
		r.repeats.Resolve(e, selection.Kept())
		if !selection.Add(e) {
			return false, nil
		}
	}
	return true, nil
}

// resolve finds out whether the first of the entries is a repeat, and those
// after it. It may read older entries, which it does not retain.
func (r *historyReader) resolve(ctx context.Context, entries []stream.Entry) error {
	last := r.last
	for {
		for i := range entries {
			r.repeats.Add(&entries[i])
			if r.repeats.Settled() {
				return nil
			}
		}
		older, _, err := r.entries(ctx, last, r.paging.Next(0))
		if err != nil || len(older) == 0 {
			return err
		}
		entries, last = older, older[len(older)-1].ID
	}
}

// begin reads the first entries, and the time of the server before it did.
func (r *historyReader) begin(ctx context.Context, wanted int) (entries []stream.Entry, err error) {
	var clock *redis.TimeCmd
	var gaps [2]*redis.XMessageSliceCmd
	var found *redis.XMessageSliceCmd
	count := r.paging.Next(wanted)
	s := r.server
	var hash *redis.MapStringStringCmd
	err = s.histories.ask(ctx, s, func(ctx context.Context, link *link) error {
		r.run = link.trace.run
		pipelined := link.client.Pipelined
		if r.latest {
			pipelined = link.client.TxPipelined // both are of one moment
		}
		_, err := pipelined(ctx, func(pipe redis.Pipeliner) error {
			clock = pipe.Time(ctx)
			if r.latest {
				hash = pipe.HGetAll(ctx, s.prefix+keyed.HashKey+r.channel)
			}
			found = pipe.XRevRangeN(ctx, r.key, "+", "-", int64(count))
			// In this order: before a message is stored behind a gap, the gap
			// is.
			gaps[0] = pipe.XRevRangeN(ctx, s.prefix+gapKey, "+", "-", 1)
			gaps[1] = pipe.XRevRangeN(ctx, s.prefix+channelGapKey+r.channel, "+", "-", 1)
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	r.now = clock.Val()
	if hash != nil {
		r.hash = hash.Val()
	}
	r.gap = s.noticedGap(uint64(r.now.UnixMilli()))
	for _, gap := range gaps {
		for _, e := range gap.Val() {
			id, _ := stream.ParseID(e.ID)
			r.gap = max(r.gap, id.Time)
		}
	}
	entries = r.decode(found.Val())
	r.read(entries, count)
	return entries, nil
}

// next reads more entries, from an ID on.
func (r *historyReader) next(ctx context.Context, after stream.ID, wanted int) ([]stream.Entry, error) {
	entries, count, err := r.entries(ctx, after, r.paging.Next(wanted))
	if err == nil {
		r.read(entries, count)
	}
	return entries, err
}

// read notes that entries were read, of which there might have been count.
func (r *historyReader) read(entries []stream.Entry, count int) {
	r.pages++
	r.ended = len(entries) < count
	if len(entries) > 0 {
		r.last = entries[len(entries)-1].ID
	}
}

// entries reads entries that are older than an ID.
func (r *historyReader) entries(ctx context.Context, than stream.ID, count int) (entries []stream.Entry, asked int, err error) {
	var found []redis.XMessage
	err = r.server.histories.ask(ctx, r.server, func(ctx context.Context, link *link) (err error) {
		if r.run != link.trace.run {
			return errLinkEnded // the server was replaced: begin again
		}
		found, err = link.client.XRevRangeN(ctx, r.key, "("+than.String(), "-", int64(count)).Result()
		return err
	})
	return r.decode(found), count, err
}

func (r *historyReader) decode(found []redis.XMessage) []stream.Entry {
	entries := make([]stream.Entry, 0, len(found))
	for i := range found {
		e := r.entry(&found[i])
		r.paging.Read(len(e.Data))
		entries = append(entries, e)
	}
	return entries
}

func (r *historyReader) entry(found *redis.XMessage) stream.Entry {
	id, _ := stream.ParseID(found.ID) // the server's own form
	e := stream.Entry{ID: id, Kind: stream.Unknown}
	for field, value := range found.Values {
		data, _ := value.(string)
		switch field {
		case stream.FieldRemoval:
			e.Kind = stream.Removal
		case stream.FieldMessage, stream.FieldAgain:
			var from header
			var env cluster.Envelope
			var err error
			r.scratch, err = decodeEnvelope(data, r.scratch, &from, &env)
			if err != nil || env.Position.IsZero() || len(found.Values) != 1 {
				r.server.stats.malformed.Add(1)
				continue
			}
			e.Kind, e.Position, e.Size, e.Data = stream.Message, env.Position, len(env.Payload), data
			e.Resent = env.Resent
			if field == stream.FieldAgain {
				e.Kind = stream.Again
			}
		}
	}
	return e
}

// message returns an entry of a page, which shares no memory.
func (r *historyReader) message(e *stream.Entry) cluster.HistoryEntry {
	var from header
	var env cluster.Envelope
	r.scratch, _ = decodeEnvelope(e.Data, r.scratch, &from, &env) // it has succeeded before
	env.Resent = e.Resent
	return ownEntry(env, time.UnixMilli(int64(e.ID.Time)))
}

// ownEntry returns an entry that shares no memory with an envelope.
func ownEntry(env cluster.Envelope, at time.Time) cluster.HistoryEntry {
	env.Payload, env.Except = bytes.Clone(env.Payload), slices.Clone(env.Except)
	for i := range env.Except {
		env.Except[i] = strings.Clone(env.Except[i])
	}
	env.Origin, env.User, env.Key = strings.Clone(env.Origin), strings.Clone(env.User), strings.Clone(env.Key)
	return cluster.HistoryEntry{Envelope: env, Time: at}
}

// starts decides about a start position of the query, and makes that of an
// empty history.
func (r *historyReader) starts(ctx context.Context, query *cluster.HistoryQuery, selection *stream.Selection, page *cluster.HistoryPage) error {
	page.Head = selection.Head()
	if !query.After.IsStart() && !page.Head.IsZero() {
		return nil
	}
	incarnation, complete, err := r.examine(ctx, query)
	if err != nil {
		return err
	}
	if page.Head.IsZero() {
		page.Head = cluster.StartPosition(incarnation, uint64(r.now.UnixMilli()))
	}
	if query.After.IsStart() {
		page.Found = page.Found && query.After.Incarnation == incarnation && selection.Start(complete)
	}
	return nil
}

// examine returns the incarnation of the start positions of this process of the
// server, as long as it evicts no key: a key that was evicted would look like a
// history without messages. It also returns whether the entries that were read
// are all that the stream had since the first read: it has not been trimmed.
func (r *historyReader) examine(ctx context.Context, query *cluster.HistoryQuery) (incarnation uint64, complete bool, err error) {
	var info *redis.StringCmd
	var length *redis.IntCmd
	oldest := &redis.XMessageSliceCmd{}
	err = r.server.histories.ask(ctx, r.server, func(ctx context.Context, link *link) error {
		if r.run != link.trace.run {
			return errLinkEnded // the server was replaced: begin again
		}
		_, err := link.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			length = pipe.XLen(ctx, r.key)
			if r.pages > 1 {
				oldest = pipe.XRangeN(ctx, r.key, r.last.String(), r.last.String(), 1)
			}
			info = pipe.Info(ctx, "stats")
			return nil
		})
		if isReply(err) && length.Err() == nil && oldest.Err() == nil {
			return nil // the user may not call INFO
		}
		return err
	})
	if err != nil {
		return 0, false, err
	}
	complete = r.ended && length.Val() < int64(query.Retention.Messages) && (r.pages == 1 || len(oldest.Val()) == 1)
	evicted := ""
	for line := range strings.Lines(info.Val()) {
		if value, found := strings.CutPrefix(line, "evicted_keys:"); found {
			evicted = strings.TrimSpace(value)
		}
	}
	if r.run == "" || evicted == "" {
		return rand.Uint64(), false, nil // no later query finds it
	}
	hash := fnv.New64a()
	for _, part := range []string{r.run, evicted, r.key} {
		_, _ = hash.Write([]byte(part)) // never fails
		_, _ = hash.Write([]byte{0})
	}
	return hash.Sum64(), complete, nil
}

// removeFromHistory removes a message and its repeats.
func (s *server) removeFromHistory(ctx context.Context, channel string, position cluster.Position) (removed bool, err error) {
	latest, err := s.removeLatest(ctx, channel, position)
	if err == nil {
		removed, err = s.removeFromStream(ctx, channel, position)
	}
	return latest || removed, err
}

func (s *server) removeFromStream(ctx context.Context, channel string, position cluster.Position) (removed bool, err error) {
	r := s.newHistoryReader(channel)
	entries, err := r.begin(ctx, 0)
	if err != nil {
		return false, err
	}
	var ids []string
	for {
		for i := range entries {
			if entries[i].Position == position && !position.IsZero() {
				ids = append(ids, entries[i].ID.String())
			}
		}
		if r.ended {
			break
		}
		if entries, err = r.next(ctx, r.last, 0); err != nil {
			return false, err
		}
	}
	if len(ids) == 0 {
		return false, nil
	}
	err = s.histories.ask(ctx, s, func(ctx context.Context, link *link) error {
		var count *redis.IntCmd
		_, err := link.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			count = pipe.XDel(ctx, r.key, ids...)
			pipe.XAdd(ctx, r.removal())
			return nil
		})
		removed = count.Val() > 0
		return withoutNil(err)
	})
	return removed && err == nil, err
}

// clearHistory removes all messages. The stream itself stays, with a mark, so
// that no start position from before is found. Without a stream there is
// nothing to do, and no key is made.
func (s *server) clearHistory(ctx context.Context, channel string) error {
	r := s.newHistoryReader(channel)
	return s.histories.ask(ctx, s, func(ctx context.Context, link *link) error {
		_, err := link.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.XAdd(ctx, r.removal())
			pipe.XTrimMaxLen(ctx, r.key, 1)
			pipe.Del(ctx, s.prefix+keyed.HashKey+channel, s.prefix+keyed.OrderKey+channel)
			return nil
		})
		return withoutNil(err)
	})
}

// withoutNil drops the error that stands for the missing mark in a stream that
// does not exist.
func withoutNil(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

func (r *historyReader) removal() *redis.XAddArgs {
	return &redis.XAddArgs{Stream: r.key, NoMkStream: true, Values: []string{stream.FieldRemoval, ""}}
}
