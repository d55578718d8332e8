package redisbroker

import (
	"context"
	"errors"
)

const (
	// silentTicks is the number of checks in a row without a message after
	// which a server counts as silent, although it is pinged every
	// ticksPerProbe. Checks are counted rather than time, so that a process
	// that was stopped does not blame the server.
	silentTicks = 2*ticksPerProbe - 2
	// graceTicks is the number of checks that a silent connection has for a
	// sign of life after the server has answered on another connection.
	graceTicks = 1
)

var errSilent = errors.New("redisbroker: the server is silent")

// watchdog watches a subscriber connection for silence.
type watchdog struct {
	session  *subscriberSession
	received uint64
	silent   int
	looks    int
}

// look returns the session if it has just become silent.
func (w *watchdog) look(session *subscriberSession) *subscriberSession {
	if session == nil {
		*w = watchdog{}
		return nil
	}
	if session != w.session {
		*w = watchdog{session: session}
	}
	if received := session.received.Load(); received != w.received {
		w.received, w.silent = received, 0
	} else {
		w.silent++
	}
	// A connection with messages needs no ping, and a ping would do harm: if
	// the server dies with a ping unread, its system discards the data that it
	// has not yet sent.
	if w.silent > 0 && w.looks%ticksPerProbe == 0 {
		session.ping()
	}
	w.looks++
	if w.silent == silentTicks {
		return session
	}
	return nil
}

// suspect is a goroutine for a session that has become silent. If the server
// only stalls, the connection is still good, and to drop it would lose the
// messages on their way. It drops the connection only if the server answers on
// another connection while this one stays silent.
func (s *subscriber) suspect(ctx context.Context, session *subscriberSession) {
	server := s.server
	received := session.received.Load()
	alive := func() bool { return session.received.Load() != received }
	ended := func() bool { return s.current.Load() != session }
	server.subscribing.set(ctx, errSilent)
	server.gate.Store(true)
	retry := newBackoff(server.config().ProbeInterval)
	grace := graceTicks * server.config().ProbeInterval / ticksPerProbe
	for {
		answered := s.serverAnswers(ctx)
		if answered {
			wait(ctx, grace)
		}
		switch {
		case ctx.Err() != nil || ended():
			return
		case alive():
			server.subscribing.recover(ctx, session.link)
			return
		case answered:
			session.abandoned.Store(true)
			session.link.dialer.end()
			return
		}
		wait(ctx, retry.next())
	}
}

// serverAnswers returns true if the server answers on a separate connection.
func (s *subscriber) serverAnswers(ctx context.Context) bool {
	server := s.server
	link, err := newLink(ctx, server.config(), server.endpoint, linkOptions{
		name: server.linkName("suspect"), timeout: server.answerTimeout(), anyRole: true,
	})
	if err != nil {
		return false
	}
	defer link.end()
	stop := context.AfterFunc(ctx, link.dialer.end)
	defer stop()
	err = link.client.Ping(ctx).Err()
	return err == nil || isReply(err)
}
