package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// linkState is the state of one of the two connections. Safe for concurrent
// use.
type linkState struct {
	role, server string
	logger       *slog.Logger
	attempted    chan struct{} // closed at the first success or failure

	mu      sync.Mutex // guards the rest
	link    *link      // nil while there is none
	problem error      // nil: it works
	since   time.Time  // of problem
	tried   bool
	losses  uint64

	refusals uint64 // replies of the server that ended the connection
	log      changeLog
}

var errConnecting = errors.New("redisbroker: connecting")

func (l *linkState) init(role, server string, logger *slog.Logger) {
	l.role, l.server, l.logger = role, server, logger
	l.attempted = make(chan struct{})
	l.problem, l.since = errConnecting, time.Now()
	l.log.init()
}

// set records that the connection works (nil) or why not, and logs the change.
func (l *linkState) set(ctx context.Context, err error) {
	l.mu.Lock()
	before, tried := l.problem, l.tried
	l.problem, l.tried = err, true
	if before == nil && err != nil {
		l.since = time.Now()
		l.losses++
	}
	if isReply(err) {
		l.refusals++
	}
	l.mu.Unlock()
	if !tried {
		close(l.attempted)
	}
	l.report(ctx)
}

// report logs the state, if the log lacks it and has room.
func (l *linkState) report(ctx context.Context) {
	l.mu.Lock()
	problem, due, skipped := l.problem, false, 0
	if l.tried && ctx.Err() == nil {
		due, skipped = l.log.next(problem, time.Now())
	}
	l.mu.Unlock()
	if due {
		logChange(ctx, l.logger, "not connected to Redis; trying again", "connected to Redis", problem, skipped,
			slog.String("server", l.server), slog.String("connection", l.role))
	}
}

// err returns why the connection does not work, or nil.
func (l *linkState) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.problem == nil {
		return nil
	}
	return fmt.Errorf("redis %s: %s not connected since %s: %w",
		l.server, l.role, l.since.UTC().Format(time.RFC3339), l.problem)
}

func (l *linkState) works() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.problem == nil
}

func (l *linkState) attach(link *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.link = link
}

// recover records that a connection works again, unless it has ended.
func (l *linkState) recover(ctx context.Context, link *link) {
	l.mu.Lock()
	current := l.link == link
	l.mu.Unlock()
	if current {
		l.set(ctx, nil)
	}
}

// endUnless ends a connection to another address.
func (l *linkState) endUnless(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link != nil && l.link.address != address {
		l.link.dialer.end()
	}
}

// end ends the connection, if there is one.
func (l *linkState) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link != nil {
		l.link.dialer.end()
	}
}

// endElsewhere ends a connection to another process than that of trace.
func (l *linkState) endElsewhere(trace *linkTrace) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link != nil && l.link.trace.elsewhere(trace) {
		l.link.dialer.end()
	}
}

// counts returns how often the connection was lost, and how often the server
// refused it or a command on it.
func (l *linkState) counts() (losses, refusals uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.losses, l.refusals
}

// complaint is a problem that publishing and subscribing survive. Safe for
// concurrent use.
type complaint struct {
	bad, good string // names of the state with and without the problem
	server    string
	logger    *slog.Logger

	mu      sync.Mutex // guards the rest
	problem error      // nil: there is none
	since   time.Time  // of problem
	count   uint64
	log     changeLog
}

func (c *complaint) init(bad, good, server string, logger *slog.Logger) {
	c.bad, c.good, c.server, c.logger = bad, good, server, logger
	c.log.init()
	c.log.current, c.log.logged = "", ""
}

// set records the problem, or with nil that there is none, and logs the change.
func (c *complaint) set(ctx context.Context, err error) {
	c.mu.Lock()
	if err != nil {
		c.count++
		if c.problem == nil {
			c.since = time.Now()
		}
	}
	c.problem = err
	c.mu.Unlock()
	c.report(ctx)
}

// report logs the state, if the log lacks it and has room.
func (c *complaint) report(ctx context.Context) {
	c.mu.Lock()
	problem := c.problem
	due, skipped := c.log.next(problem, time.Now())
	c.mu.Unlock()
	if due {
		logChange(ctx, c.logger, c.bad, c.good, problem, skipped, slog.String("server", c.server))
	}
}

// warning returns the problem for people, or an empty string.
func (c *complaint) warning() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.problem == nil {
		return ""
	}
	return fmt.Sprintf("redis %s: %s since %s: %v", c.server, c.bad, c.since.UTC().Format(time.RFC3339), c.problem)
}

// err returns the problem, or nil.
func (c *complaint) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.problem
}

// times returns how often the problem was recorded.
func (c *complaint) times() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

const (
	// logBurst records of one state are logged within logWindow. A server that
	// accepts connections and refuses commands changes the state several times
	// a second.
	logBurst  = 4
	logWindow = 20 * time.Second
)

// changeLog decides which changes of a state are logged: a problem of another
// kind is a change, too. The caller asks again from time to time, so that the
// last state is logged in the end. It is guarded by the lock of its owner.
type changeLog struct {
	current, logged string // kinds of error; empty: none
	changes         int    // that are not logged
	times           [logBurst]time.Time
}

// init makes the first state a change.
func (c *changeLog) init() { c.current, c.logged = "unknown", "unknown" }

// next returns whether the state is to be logged, and how many changes before
// it were not.
func (c *changeLog) next(problem error, now time.Time) (due bool, skipped int) {
	if kind := errorKind(problem); kind != c.current {
		c.current = kind
		c.changes++
	}
	if c.current == c.logged || now.Sub(c.times[0]) < logWindow {
		return false, 0
	}
	copy(c.times[:], c.times[1:])
	c.times[logBurst-1] = now
	skipped = c.changes - 1
	c.logged, c.changes = c.current, 0
	return true, skipped
}

// errorKind returns the text of an error without numbers, such as ports, so
// that only errors of different kinds differ.
func errorKind(err error) string {
	if err == nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, err.Error())
}

// logChange logs that a state has a problem, or with nil that it has none.
func logChange(ctx context.Context, logger *slog.Logger, bad, good string, problem error, skipped int, attributes ...slog.Attr) {
	level, message := slog.LevelInfo, good
	if problem != nil {
		level, message = slog.LevelWarn, bad
		attributes = append(attributes, slog.Any("error", problem))
	}
	if skipped > 0 {
		attributes = append(attributes, slog.Int("changes_not_logged", skipped))
	}
	logger.LogAttrs(ctx, level, message, attributes...)
}
