package redisbroker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/resp"
)

// tooLargeLogEvery is the shortest time between two log records of messages
// that were too large.
const tooLargeLogEvery = time.Minute

// subscriber keeps one subscribed connection to a server and reads it.
type subscriber struct {
	server *server

	// Owned by run.
	trace linkTrace // of the previous connection
	retry *backoff  // reset by the reader of a session that is subscribed

	// Owned by the reader of the live session.
	dedupe         dedupe
	scratch        []byte        // holds the payload during a delivery
	tooLargeLogged time.Duration // Broker.now; 0: never

	current atomic.Pointer[subscriberSession]

	replacing sync.Mutex     // guards replaced
	replaced  []replacedLink // the oldest first
}

// maxReplaced bounds the connections that the server has yet to end.
const maxReplaced = 64

// run is the subscriber's goroutine.
func (s *subscriber) run(ctx context.Context) {
	var successor *subscriberSession
	for ctx.Err() == nil {
		session := successor
		successor = nil
		var err error
		if session == nil {
			session, err = s.connect(ctx, ctx, &s.trace)
		}
		if err == nil {
			successor, err = s.serve(ctx, session)
			err = explain(err)
		}
		s.server.subscribing.set(ctx, err)
		if successor == nil {
			wait(ctx, s.retry.next())
		}
	}
	if successor != nil {
		_ = successor.stop() // its failure has no consequence any more
	}
}

// connect opens a connection without subscriptions that lives for as long as
// life. attempt bounds the call. The server ends the previous connection.
func (s *subscriber) connect(life, attempt context.Context, previous *linkTrace) (*subscriberSession, error) {
	server := s.server
	link, err := newLink(attempt, server.config(), server.endpoint, linkOptions{
		name: server.linkName("subscriber"), timeout: server.answerTimeout(), previous: previous,
	})
	if err != nil {
		return nil, err
	}
	return s.newSession(life, attempt, link)
}

// serve delivers the messages of a session until it ends. It returns the
// session that replaces it, if there is one.
func (s *subscriber) serve(ctx context.Context, session *subscriberSession) (*subscriberSession, error) {
	server := s.server
	server.subscribing.attach(session.link)
	previous := s.trace
	s.trace = session.link.trace
	s.current.Store(session)
	if session.channels == nil {
		server.subscriptions.attach(session, server.broker.ownChannel, clusterChannel)
		session.goLive()
		session.start()
	} else {
		server.subscriptions.adopt(session, session.channels)
		session.goLive()
		s.established(session)
		s.addReplaced(replacedLink{trace: previous, by: session.link.trace})
	}
	<-session.life.Done()
	s.current.Store(nil)
	err := session.stop()
	server.subscribing.attach(nil)
	if server.subscriptions.detach() > 0 && ctx.Err() == nil {
		s.interrupted()
	}
	successor := session.takeSuccessor()
	if successor != nil {
		err = errSilent
	}
	return successor, err
}

// interrupted records that messages may be missing from now on. It runs between
// the last delivery of a session and the first of the next one, also if that is
// a reserve: the messages from before it was ready may be missing.
func (s *subscriber) interrupted() {
	server := s.server
	s.dedupe.interrupt()
	server.stats.gaps.Add(1)
	server.gate.Store(true)
	if handler, wants := server.broker.handler.(cluster.InterruptionHandler); wants {
		handler.SubscriptionLost(server.partition)
	}
}

// established records that all subscriptions are confirmed.
func (s *subscriber) established(session *subscriberSession) {
	session.alive()
	s.retry.reset()
	s.server.trips.forget()
	s.server.subscribing.set(context.Background(), nil)
	s.server.announceSoon()
}

// replacedLink is a connection that the server has to end.
type replacedLink struct{ trace, by linkTrace }

// addReplaced notes a connection that the server has to end. There may be
// several: a successor that is silent, too, has one of its own, and until then
// the server may have ended none.
func (s *subscriber) addReplaced(replaced replacedLink) {
	s.replacing.Lock()
	defer s.replacing.Unlock()
	if len(s.replaced) == maxReplaced {
		s.replaced = slices.Delete(s.replaced, 0, 1)
	}
	s.replaced = append(s.replaced, replaced)
}

// firstReplaced returns false if there is none.
func (s *subscriber) firstReplaced() (replaced replacedLink, found bool) {
	s.replacing.Lock()
	defer s.replacing.Unlock()
	if len(s.replaced) == 0 {
		return replacedLink{}, false
	}
	return s.replaced[0], true
}

// forgetReplaced forgets a connection that the server has ended.
func (s *subscriber) forgetReplaced(ended replacedLink) {
	s.replacing.Lock()
	defer s.replacing.Unlock()
	s.replaced = slices.DeleteFunc(s.replaced, func(r replacedLink) bool { return r == ended })
	if len(s.replaced) == 0 {
		s.replaced = nil
	}
}

// endReplaced makes the server end the connections that sessions have replaced.
// A session cannot do that itself, because it is subscribed. The keeper calls
// it until it has succeeded.
func (s *subscriber) endReplaced() {
	if _, found := s.firstReplaced(); !found {
		return
	}
	s.server.offer(&controlRequest{call: func(ctx context.Context, conn *redis.Conn) error {
		for {
			replaced, found := s.firstReplaced()
			if !found {
				return nil
			}
			err := replaced.by.endPrevious(ctx, conn, &replaced.trace)
			if err != nil && !isReply(err) {
				return err
			}
			s.forgetReplaced(replaced)
		}
	}})
}

// deliver passes a message to the handler, unless it is a repeat. One of which
// the server may have lost the original has a new place in its history: the
// handler learns of that.
func (s *subscriber) deliver(name, data string) {
	server := s.server
	var received header
	var env cluster.Envelope
	var err error
	s.scratch, err = decodeEnvelope(data, s.scratch, &received, &env)
	defer s.shrink()
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
		if env.Resent {
			env.Repeat = true
			server.broker.deliver(name[len(server.prefix):], &env)
		}
		return
	case verdictBadNumber:
		server.stats.badNumber.Add(1)
		return
	}
	if missed := s.dedupe.missed; missed > 0 {
		server.stats.missedAtMost.Add(missed)
		s.dedupe.missed = 0
	}
	if received.incarnation == server.incarnation {
		server.lag.observe(received.number, server.now(), &server.stats.lag)
	}
	if received.internal {
		server.internal(&received, env.Payload)
		return
	}
	server.stats.delivered.Add(1)
	server.broker.deliver(name[len(server.prefix):], &env)
}

// shrink drops the memory of a long message.
func (s *subscriber) shrink() {
	if cap(s.scratch) > resp.MaxIdleScratch {
		s.scratch = nil
	}
}

// handleUnnumbered handles a message between brokers that has no number, and
// returns false for all others. A reserve calls it, next to the live session.
func (s *subscriber) handleUnnumbered(p *resp.Push) bool {
	var received header
	var env cluster.Envelope
	if !isUnnumberedInternal(p.Payload) {
		return false
	}
	if _, err := decodeEnvelope(p.Payload, nil, &received, &env); err != nil {
		return false
	}
	s.server.internal(&received, env.Payload)
	return true
}

// dropTooLarge counts a message that exceeds the limit.
func (s *subscriber) dropTooLarge(p *resp.Push) {
	server := s.server
	server.stats.tooLarge.Add(1)
	now := server.now()
	if s.tooLargeLogged != 0 && now-s.tooLargeLogged < tooLargeLogEvery {
		return
	}
	s.tooLargeLogged = now
	server.config().Logger.LogAttrs(context.Background(), slog.LevelWarn,
		"dropped a message that is too large; further ones are counted only",
		slog.String("server", server.endpoint.identity), slog.Int("bytes", p.Size),
		slog.Int("limit", server.config().MaxMessage), slog.String("channel", strconv.QuoteToASCII(p.Channel[:min(len(p.Channel), 100)])))
}
