//go:build linux

package exchange

import (
	"context"
	"errors"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/load/protocol"
)

// brokerExchange uses Stoa's broker. The broker batches queued messages, so
// with one outstanding message there is nothing to batch.
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
	e := &brokerExchange{broker: broker, channels: roomNames(""), outstanding: uint64(outstanding), progress: newProgress()}
	for i, room := range e.channels {
		e.channels[i] = cluster.RoomChannel(protocol.Namespace, room)
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
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	e.broker.Close(ctx)
}

// Deliver implements cluster.Handler.
func (e *brokerExchange) Deliver(channel string, env *cluster.Envelope) {
	count, err := e.tally.add(channel, string(env.Payload))
	if err != nil {
		select {
		case e.progress.failed <- err:
		default:
		}
		return
	}
	e.progress.reached(count)
}

// Congested implements cluster.Handler. Too few messages are outstanding for
// the broker to become congested.
func (e *brokerExchange) Congested(int, bool) {}

// exchange waits until half of the outstanding messages have come back before
// it publishes more. Woken once per message, it would measure Go's scheduler.
func (e *brokerExchange) exchange(deadline time.Time) (uint64, error) {
	began := e.sent
	env := &cluster.Envelope{}
	for time.Now().Before(deadline) {
		for e.sent-e.progress.received.Load() < e.outstanding {
			env.Payload = appendMessage(env.Payload[:0], e.sent)
			if err := e.broker.Publish(e.channels[e.sent%Rooms], env); err != nil {
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
