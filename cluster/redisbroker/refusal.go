package redisbroker

import (
	"context"
	"math"
	"time"

	"github.com/redis/go-redis/v9"
)

// aloneRetry is how long messages are sent without a transaction after the
// server has refused one.
const aloneRetry = 5 * time.Second

// rehearse executes the commands of a publisher once, without effect, on a new
// connection. A server can accept connections and refuse these commands;
// without the rehearsal, that would show only at the next message, or at the
// next outage.
func (p *publisher) rehearse(ctx context.Context) error {
	s := p.server
	channel, message := s.prefix+s.broker.ownChannel, s.encodeInternal(internalRehearsal, nil)
	commands, err := p.conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Do(ctx, "publish", channel, message)
		pipe.Do(ctx, "pubsub", "numsub", s.prefix+clusterChannel)
		pipe.Do(ctx, "multi")
		pipe.Do(ctx, "publish", channel, message)
		pipe.Do(ctx, "exec")
		return nil
	})
	if err != nil && !isReply(err) {
		return err
	}
	const needed, queued = 2, 3
	p.alone = 0
	for i, command := range commands {
		switch err := command.Err(); {
		case err == nil:
		case i < needed:
			return err
		case i < queued:
			// Without MULTI the replies to a transaction are ambiguous,
			// so this connection does not try again.
			p.sendAlone(ctx, math.MaxInt64, err)
			return nil
		default:
			p.sendAlone(ctx, s.now()+aloneRetry, err)
			return nil
		}
	}
	s.transactions.set(ctx, nil)
	return nil
}

// sendAlone makes the publisher send messages without a transaction. A server
// without memory refuses to queue commands, but executes each of them. One
// message is in flight at a time: then a repetition cannot change the order for
// a node that subscribes in between.
func (p *publisher) sendAlone(ctx context.Context, until time.Duration, reason error) {
	p.alone = until
	p.server.transactions.set(ctx, reason)
}

// abortReason returns the first error of the commands in a transaction: the
// reply to the transaction itself only counts them as errors.
func (p *publisher) abortReason(count int, abort error) error {
	for _, command := range p.counts[:count] {
		if err := command.Err(); err != nil && !redis.IsExecAbortError(err) {
			return err
		}
	}
	return abort
}

// accepted is called when the server has accepted a batch. Only this ends the
// growth of the pauses between attempts: a server that refuses every message
// may accept connections.
func (p *publisher) accepted(ctx context.Context) {
	if p.working {
		return
	}
	p.working = true
	p.retry.reset()
	if p.refused {
		p.refused = false
		p.server.publishing.set(ctx, nil)
		p.server.announceSoon()
	}
}
