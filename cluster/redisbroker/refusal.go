package redisbroker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A server answers with one of these problems, although it works: it is not the
// server that the configuration means.
var (
	errNotMaster   = errors.New("redisbroker: the server is a replica, not the master")
	errClusterMode = errors.New("redisbroker: the server runs in cluster mode (Redis Cluster), which is not supported")
	errIsSentinel  = errors.New("redisbroker: the server is a Sentinel; write redis+sentinel://host/master")
)

// permanent returns true for problems that only a change of the configuration,
// here or at the server, ends. Start returns them.
func permanent(err error) bool {
	return redis.IsAuthError(err) || redis.IsPermissionError(err) ||
		errors.Is(err, errClusterMode) || errors.Is(err, errIsSentinel)
}

// isReply returns true for errors that the server has answered: the connection
// works.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// denied returns true if the server never executes the command for this user:
// the right is missing, or the server does not have the command. Proxies and
// managed servers often lack CLIENT, INFO or ROLE, which the broker can do
// without.
func denied(err error) bool {
	return redis.IsPermissionError(err) || redis.HasErrorPrefix(err, "unknown ") || redis.HasErrorPrefix(err, "Unknown ")
}

// passing returns true for replies of a server that is about to become useful,
// or to be replaced by one.
func passing(err error) bool {
	return redis.IsReadOnlyError(err) || redis.IsMasterDownError(err) || redis.IsAuthError(err) || redis.HasErrorPrefix(err, "BUSY ") ||
		errors.Is(explain(err), errClusterMode)
}

// explain names the cause of replies that show the wrong kind of server.
func explain(err error) error {
	if errors.Is(err, errNotMaster) || errors.Is(err, errClusterMode) {
		return err
	}
	if redis.HasErrorPrefix(err, "READONLY ") {
		return fmt.Errorf("%w: %w", errNotMaster, err)
	}
	for _, prefix := range []string{"MOVED ", "ASK ", "CROSSSLOT ", "CLUSTERDOWN ", "TRYAGAIN "} {
		if redis.HasErrorPrefix(err, prefix) {
			return fmt.Errorf("%w: %w", errClusterMode, err)
		}
	}
	return err
}

// learn gives the connection its name, asks the server for the fields, and
// checks that it is the kind of server that the broker needs. Fields that the
// server does not tell stay empty.
func (t *linkTrace) learn(ctx context.Context, cn *redis.Conn, wantMaster bool) error {
	id := redis.NewIntCmd(ctx, "client", "id")
	role := redis.NewSliceCmd(ctx, "role")
	var sections []*redis.StringCmd
	pipeline := cn.Pipeline()
	_ = pipeline.Process(ctx, redis.NewStatusCmd(ctx, "client", "setname", t.name)) // no error before Exec
	_ = pipeline.Process(ctx, id)
	_ = pipeline.Process(ctx, role)
	for _, section := range []string{"server", "replication", "cluster"} {
		sections = append(sections, pipeline.Info(ctx, section))
	}
	commands, err := pipeline.Exec(ctx)
	if err != nil && !isReply(err) {
		return err
	}
	for _, command := range commands {
		if err := command.Err(); err != nil && !denied(err) {
			return err
		}
	}
	t.id = id.Val()
	var info strings.Builder
	for _, section := range sections {
		info.WriteString(section.Val())
	}
	facts := parseInfo(info.String())
	t.run = facts.run
	if facts.role == "" && len(role.Val()) > 0 {
		facts.role, _ = role.Val()[0].(string)
	}
	return facts.check(wantMaster)
}

// serverFacts are the parts of INFO and ROLE that tell servers apart. Empty
// fields are unknown.
type serverFacts struct {
	run  string // the server's name for this life of its process
	mode string // standalone, cluster or sentinel
	role string // master, slave or sentinel
}

func parseInfo(info string) (f serverFacts) {
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch key {
		case "run_id":
			f.run = value
		case "redis_mode", "server_mode": // Valkey has the second one
			f.mode = value
		case "role":
			f.role = value
		case "cluster_enabled":
			if value == "1" {
				f.mode = "cluster"
			}
		}
	}
	return f
}

func (f *serverFacts) check(wantMaster bool) error {
	switch {
	case f.mode == "sentinel" || f.role == "sentinel":
		return errIsSentinel
	case f.mode == "cluster":
		return errClusterMode
	case wantMaster && f.role != "" && f.role != "master":
		return errNotMaster
	}
	return nil
}

// checkRole handles the reply to ROLE. A server that another one replaces may
// go on to answer, but the messages that it accepts as a replica reach only the
// nodes that have stayed with it. So both connections end, and the next ones
// find the master under the configured name.
func (s *server) checkRole(ctx context.Context, conn *redis.Conn, reply *redis.SliceCmd) error {
	role, err := reply.Result()
	facts := serverFacts{}
	switch {
	case err == nil && len(role) > 0:
		facts.role, _ = role[0].(string)
	case err != nil && denied(err):
		var info string
		if info, err = conn.Info(ctx, "replication").Result(); err == nil {
			facts = parseInfo(info)
		}
	}
	if err != nil {
		if isReply(err) {
			return nil // publishing shows whether the server is of use
		}
		return err
	}
	return facts.check(true)
}

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
	began := s.now()
	commands, err := p.conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Do(ctx, "publish", channel, message)
		pipe.Do(ctx, "pubsub", "numsub", s.prefix+clusterChannel)
		pipe.Do(ctx, "multi")
		pipe.Do(ctx, "publish", channel, message)
		pipe.Do(ctx, "exec")
		return nil
	})
	// A connection that the server refused before its introduction has
	// executed nothing, and go-redis gives the commands no errors.
	if err != nil && !(isReply(err) && p.link.introduced) {
		return err
	}
	s.tripTime.restart(s.now() - began)
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

// aborted handles a transaction that the server has refused as a whole.
func (p *publisher) aborted(ctx context.Context, began time.Duration, count int, abort error) error {
	if reason := p.abortReason(count); reason != nil || len(p.history.commands) == 0 {
		p.sendAlone(ctx, began+aloneRetry, cmp.Or(reason, abort))
		return nil
	}
	refused, err := p.refusedScripts(ctx)
	if err != nil {
		return err
	}
	reason := p.refusedHistory()
	switch {
	case redis.IsReadOnlyError(reason) || redis.IsLoadingError(reason) && p.mayWait():
		// A replica accepts the messages, but for other subscribers.
		return reason
	case reason != nil || p.history.stores && !refused:
		return p.failHistory(ctx, cmp.Or(reason, abort))
	case !refused:
		p.sendAlone(ctx, began+aloneRetry, abort)
	}
	return nil
}

// mayWait returns true if the next message is young enough to wait until the
// server has read its data and can store it.
func (p *publisher) mayWait() bool {
	return p.server.now()-p.batch[0].since < p.server.config().QueueAge/2
}

// abortReason returns the first error of the publishes in a transaction: the
// reply to the transaction itself only counts them as errors.
func (p *publisher) abortReason(count int) error {
	for _, command := range p.counts[:count] {
		if err := command.Err(); err != nil && !redis.IsExecAbortError(err) {
			return err
		}
	}
	return nil
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
