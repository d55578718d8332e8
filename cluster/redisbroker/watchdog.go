package redisbroker

import (
	"context"
	"errors"
)

const (
	// silentTicks is for how many looks in a row nothing may have come from a server
	// that is asked for a sign of life every ticksPerProbe. Looks are counted rather
	// than time, so that a process that was stopped does not blame the server.
	silentTicks = 2*ticksPerProbe - 2
	// graceTicks is how many looks a silent connection has to show life after the
	// server has answered on another one.
	graceTicks = 1
)

var errSilent = errors.New("cluster: nothing comes from the server")

// watchdog looks after a subscriber connection from which nothing comes.
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
	// Where something comes no ping is needed, and it would do harm: if the server dies
	// with a ping unread, its system throws away what it has not yet sent.
	if w.silent > 0 && w.looks%ticksPerProbe == 0 {
		session.ping()
	}
	w.looks++
	if w.silent == silentTicks {
		return session
	}
	return nil
}

// doubt is a goroutine for a session that has become silent. If the server stands
// still the connection is as good as any, and giving it up would lose what is on its
// way. Only when the server answers on another connection, and this one is silent
// all the same, it is given up.
func (s *subscriber) suspect(ctx context.Context, session *subscriberSession) {
	shard := s.shard
	received := session.received.Load()
	alive := func() bool { return session.received.Load() != received }
	ended := func() bool { return s.current.Load() != session }
	shard.subscribing.set(ctx, errSilent)
	shard.gate.Store(true)
	retry := newBackoff(shard.config().ProbeInterval)
	grace := graceTicks * shard.config().ProbeInterval / ticksPerProbe
	for {
		answered := s.serverAnswers(ctx)
		if answered {
			wait(ctx, grace)
		}
		switch {
		case ctx.Err() != nil || ended():
			return
		case alive():
			shard.subscribing.recover(ctx, session.link)
			return
		case answered:
			session.abandoned.Store(true)
			session.link.dialer.end()
			return
		}
		wait(ctx, retry.next())
	}
}

// serverAnswers is true if the server does on a connection of its own.
func (s *subscriber) serverAnswers(ctx context.Context) bool {
	shard := s.shard
	link, err := newLink(ctx, shard.config(), shard.server, linkOptions{
		name: shard.linkName("doubt"), timeout: shard.answerTimeout(),
	})
	if err != nil {
		return false
	}
	defer link.end()
	stop := context.AfterFunc(ctx, link.dialer.end)
	defer stop()
	return link.client.Ping(ctx).Err() == nil
}
