package redisbroker

import (
	"cmp"
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/keyed"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/stream"
)

const (
	// historyRetry is how long messages are published without their histories
	// after the server has refused to store them.
	historyRetry = 5 * time.Second
	// maxExpiries bounds the memory for the expiry of keys. Beyond it, the next
	// message of each channel sets the expiry again.
	maxExpiries = 16 << 10
)

// historyWriter is the part of the publisher that stores messages in histories.
// It is owned by the publisher's goroutine.
//
// A message that could not be stored is delivered all the same. Histories then
// have a gap, and all nodes have to know: they take no position from before it
// as complete. If the server refuses to store anything, a notice to all nodes
// precedes the first message that is not stored. It is repeated until the
// server has stored the time of the gap, which nodes find that start later. If
// it refuses a single entry, the others of the transaction have been executed,
// and the time is stored for this channel.
type historyWriter struct {
	expiries map[string]*historyExpiry // by channel, as in queuedMessage
	oldest   time.Duration             // the largest age of a retention so far

	commands []redis.Cmder      // of a transaction
	stored   []*redis.StringCmd // the messages in it, by their place in the batch
	scripts  []script           // in it
	stores   bool               // stored has messages
	keyed    []keyedCommand     // those with keys
	renewed  []*historyExpiry   // in it
	expires  []*redis.BoolCmd   // the same

	failing  bool
	retryAt  time.Duration // Broker.now; while failing
	noticeAt time.Duration // of the next notice
	quietAt  time.Duration // when a refusal of single entries is over
	onceAt   time.Duration // when a refusal of confirmed messages is over; 0: there is none
}

// keyedCommand makes the message at a place of the batch the newest of its key.
type keyedCommand struct {
	at      int
	command *redis.Cmd
}

// historyExpiry is the expiry of a key.
type historyExpiry struct {
	key     string
	age     time.Duration // of the retention
	renewed time.Duration // Broker.now; 0: never
	keyed   time.Duration // the same for the keys of the newest messages
	pending bool          // in the transaction that is being made
}

// keeps returns whether one of the first messages is for a history, and whether
// one is published once.
func (p *publisher) keeps(count int) (stored, scripts bool) {
	for i := range p.batch[:count] {
		m := &p.batch[i]
		stored, scripts = stored || m.stored(), scripts || m.once != nil
	}
	return stored, scripts
}

// stores returns true if the messages for histories may be stored. If not, all
// nodes have been notified.
func (p *publisher) stores(ctx context.Context) (bool, error) {
	h := &p.history
	if !h.failing && p.server.now() < p.alone {
		if err := p.failHistory(ctx, p.server.transactions.err()); err != nil {
			return false, err
		}
	}
	return !h.failing, nil
}

// sendKept executes the first messages as one transaction. It stores those for
// histories if stores is true, and in any case those that are published once:
// their publishers learn whether it has succeeded. The ones before repeated may
// have been executed before.
func (p *publisher) sendKept(ctx context.Context, count, repeated int, stores bool) error {
	p.compose(ctx, count, repeated, stores)
	err := p.execute(ctx)
	switch {
	case err == nil:
	case redis.IsExecAbortError(err) || !isReply(err):
		return err
	default:
		// The commands were executed, and some of them have failed.
		for _, command := range p.counts[:count] {
			if command.Err() != nil {
				return err
			}
		}
		if err := p.scriptsMayWait(); err != nil {
			return err
		}
	}
	if !stores && len(p.history.keyed) == 0 {
		return nil
	}
	return p.settleHistory(ctx, count)
}

// execute sends the commands that compose has made. A script needs no
// transaction around it, so one that is sent alone works without the right to
// transactions, too.
func (p *publisher) execute(ctx context.Context) error {
	commands := p.history.commands
	switch len(commands) {
	case 0:
		return nil // all of them are over
	case 1:
		return p.conn.Process(ctx, commands[0])
	}
	transaction := p.conn.TxPipeline()
	if err := transaction.BatchProcess(ctx, commands...); err != nil {
		return err
	}
	_, err := transaction.Exec(ctx)
	if err == nil || !redis.IsExecAbortError(err) && isReply(err) {
		p.server.transactions.set(ctx, nil)
	}
	return err
}

// compose makes the commands of a transaction. Each message is stored before it
// is published, so that a delivered message is in the history.
func (p *publisher) compose(ctx context.Context, count, repeated int, stores bool) {
	h, now := &p.history, p.server.now()
	h.stored, h.renewed, h.expires, h.stores = h.stored[:0], h.renewed[:0], h.expires[:0], stores
	h.keyed = h.keyed[:0]
	for i := range p.batch[:count] {
		m := &p.batch[i]
		field := stream.FieldMessage
		if i < repeated {
			field = stream.FieldAgain
		}
		if m.once != nil || !m.stored() || !stores {
			h.stored = append(h.stored, nil)
			if m.once == nil {
				h.commands = append(h.commands, p.counts[i])
			} else if !m.once.Over() {
				p.composeScript(ctx, m, field)
				if m.keyed != nil && now >= p.alone {
					p.composeKeyed(ctx, i, i < repeated)
				}
			}
			continue
		}
		e := h.expiry(m, p.server.prefix)
		store := redis.NewStringCmd(ctx, "xadd", e.key, "maxlen", "~", m.keep.Messages, "*", field, &m.payload)
		h.stored = append(h.stored, store)
		h.commands = append(h.commands, store)
		if !e.pending && e.due(m.keep.Age, now) {
			e.pending, e.age = true, m.keep.Age
			expire := redis.NewBoolCmd(ctx, "pexpire", e.key, historyLife(e.age))
			h.renewed, h.expires = append(h.renewed, e), append(h.expires, expire)
			h.commands = append(h.commands, expire)
		}
		if m.keyed != nil {
			p.composeKeyed(ctx, i, i < repeated)
		}
		h.commands = append(h.commands, p.counts[i])
	}
	for _, e := range h.renewed {
		e.pending = false
	}
}

// composeKeyed makes the command for the message at a place that has a key. If
// it is published once, the command follows the script that does that.
func (p *publisher) composeKeyed(ctx context.Context, at int, again bool) {
	h, m, prefix, now := &p.history, &p.batch[at], p.server.prefix, p.server.now()
	e := h.expiry(m, prefix)
	renew := e.keyed == 0 || now-e.keyed >= historyMargin(m.keep.Age)/2
	if renew && !again && m.once == nil { // else the script may do nothing
		e.keyed = max(now, 1)
	}
	channel := string(m.channel[len(prefix):])
	args := []any{"eval", keyed.Script, 2, prefix + keyed.HashKey + channel, prefix + keyed.OrderKey + channel}
	if m.once != nil {
		args[2] = 3
		args = append(args, m.once.KeyOf(prefix, channel))
	}
	args = m.keyed.Arguments(args, &m.payload, again, m.keep, renew, historyLife(m.keep.Age))
	if m.once != nil {
		args = append(args, m.once.Value())
	}
	command := redis.NewCmd(ctx, args...)
	h.keyed = append(h.keyed, keyedCommand{at, command})
	h.commands = append(h.commands, command)
}

// expiry returns the expiry of a message's history.
func (h *historyWriter) expiry(m *queuedMessage, prefix string) *historyExpiry {
	h.oldest = max(h.oldest, m.keep.Age)
	if e, found := h.expiries[string(m.channel)]; found {
		return e
	}
	if h.expiries == nil || len(h.expiries) >= maxExpiries {
		h.expiries = make(map[string]*historyExpiry)
	}
	e := &historyExpiry{key: prefix + historyKey + string(m.channel[len(prefix):])}
	h.expiries[string(m.channel)] = e
	return e
}

// due returns true if the expiry has to be set.
func (e *historyExpiry) due(age, now time.Duration) bool {
	return e.renewed == 0 || e.age != age || now-e.renewed >= historyMargin(age)/2
}

// settleHistory handles the replies to an executed transaction.
func (p *publisher) settleHistory(ctx context.Context, count int) error {
	h, s := &p.history, p.server
	for i, e := range h.renewed {
		e.renewed = 0
		if h.expires[i].Err() == nil {
			e.renewed = max(s.now(), 1)
		}
	}
	var reason error
	channels := make(map[string]bool)
	failed := func(at int, err error) {
		if err == nil {
			return
		}
		reason = cmp.Or(reason, err)
		s.stats.unkept.Add(1)
		channels[string(p.batch[at].channel[len(s.prefix):])] = true
	}
	for i, store := range h.stored[:count] {
		if store != nil {
			failed(i, store.Err())
		}
	}
	for _, k := range h.keyed {
		if store := h.stored[k.at]; store == nil || store.Err() == nil {
			failed(k.at, k.command.Err())
		}
		if k.command.Err() != nil {
			h.expiry(&p.batch[k.at], s.prefix).keyed = 0
		}
	}
	clear(h.keyed)
	if h.stores {
		clear(h.commands)
	}
	switch {
	case reason != nil:
		s.unkept.set(ctx, reason)
		h.quietAt = s.now() + historyRetry
	case h.stores && s.now() >= h.quietAt:
		s.unkept.set(ctx, nil)
	}
	for channel := range channels {
		if err := p.markGap(ctx, s.prefix+channelGapKey+channel); err != nil && !isReply(err) {
			return err
		}
	}
	return nil
}

// refusedHistory returns why the server has refused a transaction, if the
// reason is that the transaction stores messages without a script.
func (p *publisher) refusedHistory() error {
	h := &p.history
	scripts, keyed := h.scripts, h.keyed
	for _, command := range h.commands {
		if len(scripts) > 0 && command == redis.Cmder(scripts[0].command) {
			scripts = scripts[1:]
			continue
		}
		if len(keyed) > 0 && command == redis.Cmder(keyed[0].command) {
			at := keyed[0].at
			if keyed = keyed[1:]; p.batch[at].once != nil {
				continue
			}
		}
		if err := command.Err(); err != nil && !redis.IsExecAbortError(err) {
			return err
		}
	}
	return nil
}

// failHistory makes the publisher publish messages without storing them. All
// nodes are notified before.
func (p *publisher) failHistory(ctx context.Context, reason error) error {
	h, s := &p.history, p.server
	h.failing, h.retryAt = true, s.now()+historyRetry
	s.unkept.set(ctx, reason)
	return p.noticeGap(ctx)
}

// noticeGap notifies all nodes that histories have a gap up to now.
func (p *publisher) noticeGap(ctx context.Context) error {
	s := p.server
	p.history.noticeAt = s.now() + s.config().ProbeInterval
	s.histories.notice(s.now())
	err := p.conn.Publish(ctx, s.prefix+clusterChannel, s.encodeInternal(internalUnkept, nil)).Err()
	if isReply(err) {
		return nil // a server that refuses this refuses the messages, too
	}
	return err
}

// resumeHistory is called while the server refuses to store messages. It tries
// again from time to time, by storing the time of the gap.
func (p *publisher) resumeHistory(ctx context.Context) error {
	h, s := &p.history, p.server
	if now := s.now(); now >= h.retryAt && now >= p.alone {
		err := p.markGap(ctx, s.prefix+gapKey)
		if err == nil {
			h.failing = false
			s.unkept.set(ctx, nil)
			s.transactions.set(ctx, nil) // that was one
			return nil
		}
		if !isReply(err) {
			return err
		}
		h.retryAt = s.now() + historyRetry
		s.unkept.set(ctx, err)
	}
	if s.now() >= h.noticeAt {
		return p.noticeGap(ctx)
	}
	return nil
}

// markGap stores the time of the server: messages up to then may be missing. It
// lasts as long as a history from before.
func (p *publisher) markGap(ctx context.Context, key string) error {
	_, err := p.conn.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: key, MaxLen: 1, Values: []string{stream.FieldGap, ""}})
		pipe.Do(ctx, "pexpire", key, historyLife(p.history.oldest))
		return nil
	})
	return err
}

// countUnkept counts those of the first messages that should have been stored.
func (p *publisher) countUnkept(count int) {
	for i := range p.batch[:count] {
		if p.batch[i].stored() {
			p.server.stats.unkept.Add(1)
		}
	}
}

// withoutHistory returns an envelope of a channel that has no history, because
// its messages take any server.
func withoutHistory(env *cluster.Envelope) *cluster.Envelope {
	own := *env
	own.Keep = nil
	return &own
}
