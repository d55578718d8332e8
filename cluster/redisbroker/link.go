package redisbroker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	errLinkEnded  = errors.New("redisbroker: connection has ended")
	errNoSentinel = errors.New("redisbroker: no Sentinel answers")
)

// link is one connection to a server. When a connection fails, a client of
// go-redis opens another one, subscribes it to all channels in one command, and
// sends commands again. Here the order of these steps matters. So the client of
// a link may dial once, and every failure ends the link.
type link struct {
	client  *redis.Client
	dialer  *onceDialer
	address string // that was dialed
	trace   linkTrace
	full    error // the server's reply that it has no room for another client
	// introduced is true when the server has turned out to be of use.
	introduced bool
}

// linkTrace is the information that another connection needs to end this one.
type linkTrace struct {
	id   int64  // the server's number for it; 0 if not known
	name string // the name that it gave itself
	run  string // the server's name for this life of its process; empty if not known
}

// linkOptions are the differences between the links of a server.
type linkOptions struct {
	name     string        // shown by CLIENT LIST
	timeout  time.Duration // of a read or write
	previous *linkTrace    // a connection to end; nil: none
	anyRole  bool          // a replica will do, unless the Sentinels named a master
}

// newLink prepares a connection; the first command opens it. ctx bounds the
// request to the Sentinels.
func newLink(ctx context.Context, config *Config, server *endpoint, o linkOptions) (*link, error) {
	quietClient()
	address := server.addresses[0]
	if server.master != "" {
		var err error
		if address, err = server.findMaster(ctx, config.DialTimeout); err != nil {
			return nil, err
		}
	}
	l := &link{dialer: newOnceDialer(config.DialTimeout, server.tls, address), address: address}
	l.trace.name = o.name
	options := clientOptions(address, config.DialTimeout)
	options.Dialer = l.dialer.dial
	options.Username, options.Password, options.DB = server.username, server.password, server.database
	options.ReadTimeout, options.WriteTimeout = o.timeout, o.timeout
	wantMaster := server.master != "" || !o.anyRole
	options.OnConnect = func(ctx context.Context, cn *redis.Conn) error {
		return l.introduce(ctx, cn, wantMaster, o.previous)
	}
	l.client = redis.NewClient(options)
	l.client.AddHook(helloHook{l})
	return l, nil
}

// quietClient keeps go-redis from writing to the standard error. The same
// problems are returned as errors, and logged by the callers.
var quietClient = sync.OnceFunc(func() { redis.SetLogger(discardClientLog{}) })

type discardClientLog struct{}

func (discardClientLog) Printf(context.Context, string, ...any) {}

// clientOptions are the options of a client with one connection, which does not
// retry.
func clientOptions(address string, dialTimeout time.Duration) *redis.Options {
	return &redis.Options{
		Addr: address,
		// RESP2 is enough, and has no messages between replies.
		Protocol:              2,
		DisableIdentity:       true,
		PoolSize:              1,
		PipelinePoolSize:      -1,
		MaxRetries:            -1,
		DialerRetries:         1,
		DialTimeout:           dialTimeout,
		PoolTimeout:           dialTimeout,
		ConnMaxIdleTime:       -1,
		ContextTimeoutEnabled: true,
	}
}

// helloHook keeps the reply of a server that has no room for another client.
// The server closes the connection after it, and go-redis returns only that.
type helloHook struct{ link *link }

func (helloHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (helloHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h helloHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		err := next(ctx, command)
		if err != nil && redis.IsMaxClientsError(err) {
			h.link.full = err
		}
		return err
	}
}

// explain returns the cause of a failure on the connection.
func (l *link) explain(err error) error {
	if l.full != nil && !isReply(err) {
		return l.full
	}
	return explain(err)
}

// introduce runs on the new connection before all other commands. The server
// may still hold unread commands of the previous connection, if the server or
// the network was stopped. They must not be executed after the commands of this
// connection, and the server must not count its subscription. If the server
// does not let the user end it, the order of the two connections is up to
// chance.
func (l *link) introduce(ctx context.Context, cn *redis.Conn, wantMaster bool, previous *linkTrace) error {
	if err := l.trace.learn(ctx, cn, wantMaster); err != nil {
		return err
	}
	if previous != nil {
		if err := l.trace.endPrevious(ctx, cn, previous); err != nil && !isReply(err) {
			return err
		}
	}
	l.introduced = true
	return nil
}

// endPrevious ends the previous connection. If the server was restarted, or is
// another one, the number may belong to another connection, perhaps to this
// one.
func (t *linkTrace) endPrevious(ctx context.Context, cn *redis.Conn, previous *linkTrace) error {
	if previous.id == 0 || previous.id == t.id || t.elsewhere(previous) {
		return nil
	}
	// Without a run ID the server may be another one all the same.
	listed, err := cn.Do(ctx, "client", "list", "id", previous.id).Text()
	if err != nil || !strings.Contains(listed, " name="+previous.name+" ") {
		return err
	}
	return cn.Do(ctx, "client", "kill", "id", previous.id).Err()
}

// elsewhere returns true if the connection is known to be to another process
// than the previous one, after a restart or a failover of Redis.
func (t *linkTrace) elsewhere(previous *linkTrace) bool {
	return t.run != "" && previous.run != "" && t.run != previous.run
}

// end closes the connection; its pending calls fail. It may be called from any
// goroutine, and repeatedly.
func (l *link) end() {
	l.dialer.end()
	// It fails only if it was closed before.
	_ = l.client.Close()
}

// findMaster asks the Sentinels, one after the other.
func (s *endpoint) findMaster(ctx context.Context, timeout time.Duration) (string, error) {
	var problems []error
	for _, address := range s.addresses {
		master, err := s.askSentinel(ctx, address, timeout)
		if err == nil {
			return master, nil
		}
		problems = append(problems, fmt.Errorf("sentinel %s: %w", address, err))
		if ctx.Err() != nil {
			break
		}
	}
	return "", fmt.Errorf("%w: %w", errNoSentinel, errors.Join(problems...))
}

func (s *endpoint) askSentinel(ctx context.Context, address string, timeout time.Duration) (string, error) {
	dialer := newOnceDialer(timeout, s.tls, address)
	defer dialer.end()
	stop := context.AfterFunc(ctx, dialer.end)
	defer stop()
	options := clientOptions(address, timeout)
	options.Dialer = dialer.dial
	options.Username, options.Password = s.sentinelUsername, s.sentinelPassword
	options.ReadTimeout, options.WriteTimeout = timeout, timeout
	client := redis.NewSentinelClient(options)
	defer func() { _ = client.Close() }()
	found, err := client.GetMasterAddrByName(ctx, s.master).Result()
	if err != nil {
		return "", err
	}
	if len(found) != 2 {
		return "", errMaster
	}
	return net.JoinHostPort(found[0], found[1]), nil
}

// onceDialer dials one connection and can end it at any time, which the
// contexts of go-redis cannot do while a reply is awaited.
type onceDialer struct {
	timeout time.Duration
	tls     *tls.Config
	address string

	mu    sync.Mutex // guards the rest
	conn  net.Conn
	used  bool
	ended bool
}

func newOnceDialer(timeout time.Duration, config *tls.Config, address string) *onceDialer {
	return &onceDialer{timeout: timeout, tls: config, address: address}
}

// dial is for redis.Options.Dialer.
func (d *onceDialer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	d.mu.Lock()
	refused := d.used || d.ended
	d.used = true
	d.mu.Unlock()
	if refused {
		return nil, errLinkEnded
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	plainDialer, network := net.Dialer{}, "tcp"
	if strings.HasPrefix(d.address, "/") {
		network = "unix"
	}
	var conn net.Conn
	var err error
	if d.tls == nil {
		conn, err = plainDialer.DialContext(ctx, network, d.address)
	} else {
		conn, err = (&tls.Dialer{NetDialer: &plainDialer, Config: d.tls}).DialContext(ctx, network, d.address)
	}
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		_ = conn.Close()
		return nil, errLinkEnded
	}
	d.conn = conn
	return conn, nil
}

// take returns the connection, for a caller that uses it instead of go-redis
// from now on.
func (d *onceDialer) take() (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended || d.conn == nil {
		return nil, errLinkEnded
	}
	return d.conn, d.conn.SetDeadline(time.Time{})
}

// over returns true after the end.
func (d *onceDialer) over() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ended
}

func (d *onceDialer) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.conn != nil {
		_ = d.conn.Close()
	}
}
