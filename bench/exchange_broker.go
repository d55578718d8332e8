//go:build linux

package main

import (
	"context"
	"errors"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
)

// brokerExchange is Stoa's broker without a node around it. The messages that wait
// together leave together; with one outstanding, none waits.
type brokerExchange struct {
	broker      *redisbroker.Broker
	channels    []string
	outstanding uint64
	sent        uint64
	tally       *tally
	progress    *progress
}

func newBrokerExchange(address string, outstanding int) (*brokerExchange, error) {
	broker, err := redisbroker.New(redisbroker.Config{Servers: []string{"redis://" + address}, Cluster: "bench"})
	if err != nil {
		return nil, err
	}
	e := &brokerExchange{broker: broker, channels: exchangeChannels(""), outstanding: uint64(outstanding), progress: newProgress()}
	for i, room := range e.channels {
		e.channels[i] = cluster.RoomChannel(namespace, room)
	}
	e.tally = newTally(e.channels)
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if err := broker.Start(ctx, e); err != nil {
		return nil, err
	}
	if err := broker.Subscribe(ctx, e.channels...); err != nil {
		return nil, errors.Join(err, broker.Close(ctx))
	}
	return e, nil
}

func (e *brokerExchange) close() {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	e.broker.Close(ctx)
}

// Deliver implements cluster.Handler.
func (e *brokerExchange) Deliver(channel string, env *cluster.Envelope) {
	count, err := e.tally.take(channel, string(env.Payload))
	if err != nil {
		select {
		case e.progress.failed <- err:
		default:
		}
		return
	}
	e.progress.reached(count)
}

// Congested implements cluster.Handler. What may be outstanding is far too little
// for that.
func (e *brokerExchange) Congested(int, bool) {}

// exchange lets half of what was outstanding come back before it publishes as much
// again: woken for each message, it would measure Go's scheduler.
func (e *brokerExchange) exchange(deadline time.Time) (uint64, error) {
	began := e.sent
	env := &cluster.Envelope{}
	for time.Now().Before(deadline) {
		for e.sent-e.progress.received.Load() < e.outstanding {
			env.Payload = appendExchanged(env.Payload[:0], e.sent)
			if err := e.broker.Publish(e.channels[e.sent%exchangeRooms], env); err != nil {
				return 0, err
			}
			e.sent++
		}
		if err := e.progress.await(e.sent, e.outstanding/2); err != nil {
			return 0, err
		}
	}
	return e.sent - began, e.progress.await(e.sent, 0)
}
