//go:build linux

package main

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// exchangeWindow bounds what a loop has published and not received: far below the
// output buffer at which Redis ends a subscriber.
const exchangeWindow = 8192

// loopExchange is the bare go-redis loop: one goroutine publishes in pipelines and
// waits for each, one receives on one subscription. It does nothing for order,
// outages or backpressure beyond that.
type loopExchange struct {
	publisher  *redis.Client
	subscriber *redis.Client
	pubsub     *redis.PubSub
	channels   []string
	pipeline   int
	sent       uint64
	tally      *tally
	progress   *progress
	ended      chan struct{}
}

func newLoopExchange(address string, pipeline int) (*loopExchange, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	e := &loopExchange{publisher: newRedisClient(address), subscriber: newRedisClient(address), pipeline: pipeline,
		channels: exchangeChannels("loop:"), progress: newProgress(), ended: make(chan struct{})}
	e.tally = newTally(e.channels)
	e.pubsub = e.subscriber.Subscribe(ctx, e.channels...)
	for range e.channels {
		if _, err := e.pubsub.Receive(ctx); err != nil {
			return nil, errors.Join(err, e.pubsub.Close())
		}
	}
	go e.receive()
	return e, nil
}

func (e *loopExchange) close() {
	e.pubsub.Close()
	<-e.ended
	e.subscriber.Close()
	e.publisher.Close()
}

// receive reads until the subscription is closed.
func (e *loopExchange) receive() {
	defer close(e.ended)
	ctx := context.Background()
	for {
		received, err := e.pubsub.ReceiveTimeout(ctx, 0)
		if err != nil {
			e.progress.failed <- err
			return
		}
		message, ok := received.(*redis.Message)
		if !ok {
			continue
		}
		count, err := e.tally.take(message.Channel, message.Payload)
		if err != nil {
			e.progress.failed <- err
			return
		}
		e.progress.reached(count)
	}
}

func (e *loopExchange) exchange(deadline time.Time) (uint64, error) {
	began, ctx := e.sent, context.Background()
	var message []byte
	for time.Now().Before(deadline) {
		pipeline := e.publisher.Pipeline()
		for range e.pipeline {
			message = appendExchanged(message[:0], e.sent)
			pipeline.Publish(ctx, e.channels[e.sent%exchangeRooms], string(message))
			e.sent++
		}
		if _, err := pipeline.Exec(ctx); err != nil {
			return 0, err
		}
		if err := e.progress.await(e.sent, exchangeWindow); err != nil {
			return 0, err
		}
	}
	return e.sent - began, e.progress.await(e.sent, 0)
}
