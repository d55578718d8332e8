package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
)

// subscriber keeps one subscribed connection to a server and reads it.
type subscriber struct {
	server *server

	// Owned by run.
	trace   linkTrace // of the previous connection
	dedupe  dedupe
	scratch []byte // holds the payload during a delivery
	retry   *backoff

	current atomic.Pointer[subscriberSession]
}

// subscriberSession is one connection of the subscriber. Its writer sends
// commands while the read loop reads, so that neither waits for the other.
type subscriberSession struct {
	subscriber *subscriber
	link       *link
	pubsub     *redis.PubSub
	received   atomic.Uint64 // messages of all kinds so far; shows signs of life
	abandoned  atomic.Bool   // suspect ended it
	wake       chan struct{} // capacity 1

	mu          sync.Mutex // guards the rest; taken inside subscriptions.mu
	commands    []subscribeCommand
	unconfirmed int // channels in commands that were sent
	pingDue     bool
	pinged      int // pings without an answer, sent before all unconfirmed commands
}

// run is the subscriber's goroutine, and the read loop.
func (s *subscriber) run(ctx context.Context) {
	for ctx.Err() == nil {
		session, err := s.connect(ctx)
		if err == nil {
			err = explain(s.serve(ctx, session))
		}
		s.server.subscribing.set(ctx, err)
		wait(ctx, s.retry.next())
	}
}

// connect opens a connection without subscriptions.
func (s *subscriber) connect(ctx context.Context) (*subscriberSession, error) {
	server := s.server
	link, err := newLink(ctx, server.config(), server.endpoint, linkOptions{
		name: server.linkName("subscriber"), timeout: server.answerTimeout(), previous: &s.trace,
	})
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, link.dialer.end)
	defer stop()
	session := &subscriberSession{
		subscriber: s, link: link, pubsub: link.client.Subscribe(ctx), wake: make(chan struct{}, 1), pinged: 1,
	}
	if err := session.pubsub.Ping(ctx); err != nil {
		link.end()
		return nil, link.explain(err)
	}
	s.trace = link.trace
	return session, nil
}

// serve reads until the connection fails or ctx ends.
func (s *subscriber) serve(ctx context.Context, session *subscriberSession) error {
	server := s.server
	server.subscribing.attach(session.link)
	s.current.Store(session)
	server.subscriptions.attach(session, server.broker.ownChannel, clusterChannel)

	ended, end := context.WithCancel(ctx)
	stop := context.AfterFunc(ended, session.link.dialer.end)
	var writer sync.WaitGroup
	writer.Go(func() { session.write(ended) })
	err := session.read()
	end()
	writer.Wait()
	stop()

	s.current.Store(nil)
	server.subscribing.attach(nil)
	_ = session.pubsub.Close() // fails only if closed before
	session.link.end()
	if server.subscriptions.detach() > 0 && ctx.Err() == nil {
		s.dedupe.interrupt()
		server.stats.gaps.Add(1)
		server.gate.Store(true)
	}
	if session.abandoned.Load() {
		return errSilent
	}
	return err
}

// read is the read loop. The first read clears the deadline that the handshake
// left on the connection. The others set none, which saves a system timer per
// message: the keeper ends a silent connection.
func (session *subscriberSession) read() error {
	ctx := context.Background()
	timeout := time.Duration(0)
	for {
		received, err := session.pubsub.ReceiveTimeout(ctx, timeout)
		if err != nil && !(isReply(err) && session.ponged()) {
			return err
		}
		timeout = -1
		session.received.Add(1)
		switch m := received.(type) {
		case *redis.Pong:
			session.ponged()
		case *redis.Message:
			session.subscriber.deliver(m.Channel, m.Payload)
		case *redis.Subscription:
			if err := session.confirm(m); err != nil {
				return err
			}
		}
	}
}

// confirm handles the confirmation of one channel.
func (session *subscriberSession) confirm(m *redis.Subscription) error {
	server := session.subscriber.server
	prefix := server.prefix
	if len(m.Channel) < len(prefix) {
		return fmt.Errorf("redisbroker: unexpected confirmation of %q", m.Channel)
	}
	channel := m.Channel[len(prefix):]
	server.subscriptions.confirm(session, channel, m.Kind == "subscribe")
	if channel == clusterChannel {
		session.subscriber.retry.reset()
		server.subscribing.set(context.Background(), nil)
		server.announceSoon()
	}
	return nil
}

// deliver passes a message to the handler, unless it is a repeat.
func (s *subscriber) deliver(name, data string) {
	server := s.server
	var received header
	var env cluster.Envelope
	var err error
	s.scratch, err = decodeEnvelope(data, s.scratch, &received, &env)
	switch {
	case errors.Is(err, errEnvelopeVersion):
		server.stats.badVersion.Add(1)
		return
	case err != nil || len(name) < len(server.prefix):
		server.stats.malformed.Add(1)
		return
	}
	switch s.dedupe.accept(&received) {
	case verdictRepeat:
		server.stats.repeats.Add(1)
		return
	case verdictBadNumber:
		server.stats.badNumber.Add(1)
		return
	}
	if missed := s.dedupe.missed; missed > 0 {
		server.stats.missedAtMost.Add(missed)
		s.dedupe.missed = 0
	}
	if received.incarnation == server.broker.incarnation {
		server.lag.observe(received.number, server.now(), &server.stats.lag)
	}
	if received.internal {
		server.internal(&received, env.Payload)
		return
	}
	server.stats.delivered.Add(1)
	server.broker.deliver(name[len(server.prefix):], &env)
}

// add queues a command for a channel. It is called with subscriptions.mu held.
func (session *subscriberSession) add(ending bool, channel string) {
	session.mu.Lock()
	defer session.mu.Unlock()
	last := len(session.commands) - 1
	if last < 0 || session.commands[last].ending != ending || len(session.commands[last].channels) >= subscribeBatch {
		session.commands = append(session.commands, subscribeCommand{ending: ending})
		last++
	}
	command := &session.commands[last]
	command.channels = append(command.channels, channel)
	session.signal()
}

// ping asks the server for a sign of life.
func (session *subscriberSession) ping() {
	session.mu.Lock()
	defer session.mu.Unlock()
	session.pingDue = true
	session.signal()
}

// ponged counts the answer to a ping, and returns false if there was none. A
// server that cannot save, loads or runs a script answers with an error, which
// is a sign of life as well.
func (session *subscriberSession) ponged() bool {
	session.mu.Lock()
	defer session.mu.Unlock()
	if session.pinged == 0 {
		return false
	}
	session.pinged--
	return true
}

// confirmed counts a confirmation. It is called with subscriptions.mu held.
func (session *subscriberSession) confirmed() {
	session.mu.Lock()
	defer session.mu.Unlock()
	session.unconfirmed--
	session.signal()
}

// signal is called with mu held.
func (session *subscriberSession) signal() {
	select {
	case session.wake <- struct{}{}:
	default:
	}
}

// next returns the next command: a ping, or a subscription if not too many are
// unconfirmed. While one is unconfirmed, the server owes a sign of life anyway;
// without a ping an error can only be its answer.
func (session *subscriberSession) next() (ping bool, command subscribeCommand) {
	session.mu.Lock()
	defer session.mu.Unlock()
	if session.pingDue && session.unconfirmed == 0 {
		session.pingDue = false
		session.pinged++
		return true, command
	}
	if len(session.commands) == 0 || session.unconfirmed >= maxUnconfirmed {
		return false, command
	}
	command = session.commands[0]
	session.commands[0] = subscribeCommand{}
	session.commands = session.commands[1:]
	session.unconfirmed += len(command.channels)
	return false, command
}

// write is the goroutine that sends commands. If a command fails, it ends the
// connection.
func (session *subscriberSession) write(ctx context.Context) {
	for {
		ping, command := session.next()
		var err error
		switch {
		case ping:
			err = session.pubsub.Ping(ctx)
		case len(command.channels) > 0:
			err = session.send(ctx, command)
		default:
			select {
			case <-ctx.Done():
				return
			case <-session.wake:
			}
		}
		if err != nil {
			session.link.dialer.end()
			return
		}
	}
}

func (session *subscriberSession) send(ctx context.Context, command subscribeCommand) error {
	prefix := session.subscriber.server.prefix
	names := make([]string, len(command.channels))
	for i, channel := range command.channels {
		names[i] = prefix + channel
	}
	if command.ending {
		return session.pubsub.Unsubscribe(ctx, names...)
	}
	return session.pubsub.Subscribe(ctx, names...)
}
