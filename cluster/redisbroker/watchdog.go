package redisbroker

import (
	"context"
	"errors"
	"time"
)

const (
	// pingTicks is the number of checks in a row without a message after which
	// the server is pinged, and again every ticksPerProbe.
	pingTicks = 1
	// quietTicks is the number after which the subscriber looks for a
	// successor, and silentTicks the number after which the connection counts
	// as not working; both in addition to the usual round trip. Checks are
	// counted rather than time, so that a process that was stopped does not
	// blame the server.
	quietTicks  = ticksPerProbe - 1
	silentTicks = 2*ticksPerProbe - 2
	// relyShare is the part of a check's interval in which a join relies on the
	// last sign of life, in addition to the usual round trip.
	relyShare = 2
	// graceShare is the part of a check's interval that a silent connection has
	// for a sign of life after the server has answered on another connection.
	graceShare = 4
	// maxPatience bounds the time that a silent connection has when its
	// successor is ready, in probe intervals.
	maxPatience = 10
)

var errSilent = errors.New("redisbroker: the server is silent")

// watchdog watches a subscriber connection for silence.
type watchdog struct {
	session  *subscriberSession
	received uint64
	silent   int // checks in a row without a message
}

// look checks the session, which may be nil, and returns how many checks in a
// row have found no message.
func (w *watchdog) look(session *subscriberSession) (silent int) {
	if session != w.session {
		*w = watchdog{session: session}
	}
	if session == nil {
		return 0
	}
	// A reader that delivers for long does not see whether more has arrived.
	if received := session.received.Load(); received != w.received || !session.waits.Load() {
		w.received, w.silent = received, 0
	} else {
		w.silent++
	}
	// A connection with messages needs no ping, and a ping would do harm: if
	// the server dies with a ping unread, its system discards the data that it
	// has not yet sent.
	if w.silent%ticksPerProbe == pingTicks {
		session.ping()
	}
	return w.silent
}

// alive notes a sign of life.
func (session *subscriberSession) alive() {
	session.aliveAt.Store(int64(session.subscriber.server.now()))
}

// doubtful returns true if there was no sign of life for a moment: the server
// or the network may have ended the connection. If the server confirms a
// subscription again, it has not.
func (session *subscriberSession) doubtful() bool {
	server := session.subscriber.server
	return session.slept.Load() || server.now()-time.Duration(session.aliveAt.Load()) > server.reliance()
}

// sleep notes that the process was stopped. Messages that arrived in the
// meantime are no signs of life; the answer to a ping is.
func (session *subscriberSession) sleep() {
	session.slept.Store(true)
	session.ping()
}

// reliance is how long a join relies on a sign of life.
func (s *server) reliance() time.Duration { return s.tick()/relyShare + s.tripTime.value() }

// asleep returns true if the keeper has not run for several checks: the process
// was stopped, and has just continued.
func (s *server) asleep(now time.Duration) bool {
	return now-time.Duration(s.awakeAt.Load()) > quietTicks*s.tick()
}

// watch is one check of the keeper.
func (s *server) watch(ctx context.Context, w *watchdog) {
	session := s.subscriber.current.Load()
	usual := int((s.tripTime.value() + s.tick() - 1) / s.tick())
	switch silent := w.look(session); {
	case session == nil:
	case silent == 0:
		if errors.Is(s.subscribing.err(), errSilent) {
			s.subscribing.recover(ctx, session.link)
		}
	case silent == silentTicks+usual:
		s.subscribing.set(ctx, errSilent)
		s.gate.Store(true)
	case silent >= quietTicks+usual:
		session.look(ctx)
	}
}

// replace returns a ready successor of a session that has become silent, or nil
// if the session shows a sign of life or ends before there is one.
//
// If the server or the network only stalls, the session is still good: TCP
// delivers everything that is on its way. So the successor begins as a reserve,
// and the session is given up only if it stays silent. TCP sends again after a
// pause that doubles each time. So a connection that still works shows a sign
// of life before it has been silent for another time as long.
func (s *subscriber) replace(life context.Context, silent *subscriberSession) *subscriberSession {
	server := s.server
	tick := server.tick()
	since := server.now() - quietTicks*tick - server.tripTime.value()
	quiet, stop := context.WithCancel(silent.life)
	defer stop()
	received := silent.received.Load()
	silent.lookers.Go(func() {
		defer stop()
		for wait(quiet, tick) && silent.received.Load() == received && silent.waits.Load() {
		}
	})
	retry := newBackoff(server.config().ProbeInterval)
	for quiet.Err() == nil {
		reserve := s.prepare(life, quiet)
		if reserve == nil {
			wait(quiet, retry.next())
			continue
		}
		reserve.stand(quiet, min(server.now()-since, maxPatience*server.config().ProbeInterval))
		switch {
		case reserve.life.Err() != nil:
			_ = reserve.stop() // the next one is better
		case silent.life.Err() != nil, quiet.Err() == nil:
			silent.end()
			return reserve
		default:
			_ = reserve.stop() // no longer needed
		}
	}
	return nil
}

// prepare returns a reserve that is subscribed to all channels, or nil. It
// gives up when quiet ends.
func (s *subscriber) prepare(life, quiet context.Context) *subscriberSession {
	server := s.server
	reserve, err := s.connect(life, quiet, &linkTrace{})
	if err != nil {
		return nil
	}
	// If only the server has stalled, the silent connection shows a sign of
	// life now, too.
	if wait(quiet, server.tick()/graceShare) {
		reserve.subscribeAsReserve(server.subscriptions.wanted(server.broker.ownChannel, clusterChannel))
		reserve.start()
		select {
		case <-reserve.ready:
			return reserve
		case <-reserve.life.Done():
		case <-quiet.Done():
		}
	}
	_ = reserve.stop() // no use was made of it
	return nil
}

// stand waits for as long as a reserve that is ready may stand by: not longer
// than patience, nor than the silence lasts, nor than there is room for the
// messages.
func (session *subscriberSession) stand(quiet context.Context, patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-quiet.Done():
	case <-session.life.Done():
	case <-session.full:
	}
}
