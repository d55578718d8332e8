package clustertest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// Operation is the kind of a call to a broker that takes time.
type Operation uint8

// The operations.
const (
	OperationSubscribe Operation = iota + 1
	OperationUnsubscribe
)

func (o Operation) String() string {
	switch o {
	case OperationSubscribe:
		return "subscribe"
	case OperationUnsubscribe:
		return "unsubscribe"
	}
	return "unknown"
}

// Call is a Subscribe or Unsubscribe that a Faulty broker received.
type Call struct {
	Operation Operation
	Channels  []string
}

// Faults are the faults of a Faulty broker. The zero value has none.
type Faults struct {
	// Publish, Subscribe, Unsubscribe and Ready are the errors that these calls
	// return instead of reaching the broker, and History that of the calls of
	// cluster.Historian.
	Publish, Subscribe, Unsubscribe, Ready, History error
	// Delay is how long Subscribe and Unsubscribe wait before they reach the
	// broker.
	Delay time.Duration
	// Hold makes Subscribe and Unsubscribe wait until it is closed, before they
	// reach the broker.
	Hold <-chan struct{}
	// LoseAnswer lets Subscribe and Unsubscribe reach the broker, and then
	// makes them wait for the end of their context, as if the answer had been
	// lost.
	LoseAnswer bool
}

// Faulty is a broker in front of another one. It is safe for concurrent use. A
// call that waits returns the error of its context when the context ends. If
// the other broker is no cluster.Historian, the calls of that interface return
// errors.ErrUnsupported.
type Faulty struct {
	broker cluster.Broker

	mu      sync.Mutex // guards the rest
	faults  Faults
	handler cluster.Handler
	calls   []Call
}

var (
	_ cluster.Broker    = (*Faulty)(nil)
	_ cluster.Historian = (*Faulty)(nil)
)

// NewFaulty returns a broker without faults in front of b.
func NewFaulty(b cluster.Broker) *Faulty {
	return &Faulty{broker: b}
}

// Set replaces the faults; calls in flight keep theirs.
func (f *Faulty) Set(faults Faults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

// Calls returns the Subscribe and Unsubscribe calls so far, including failed
// ones, in the order in which they began.
func (f *Faulty) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call(nil), f.calls...)
}

// Congest calls the handler's Congested in place of the broker. It does nothing
// before Start.
func (f *Faulty) Congest(partition int, congested bool) {
	f.mu.Lock()
	handler := f.handler
	f.mu.Unlock()
	if handler != nil {
		handler.Congested(partition, congested)
	}
}

// Start starts the broker.
func (f *Faulty) Start(ctx context.Context, h cluster.Handler) error {
	f.mu.Lock()
	f.handler = h
	f.mu.Unlock()
	return f.broker.Start(ctx, h)
}

// Publish calls the broker's Publish, or fails.
func (f *Faulty) Publish(channel string, env *cluster.Envelope) error {
	f.mu.Lock()
	err := f.faults.Publish
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.broker.Publish(channel, env)
}

// Subscribe calls the broker's Subscribe as the faults say.
func (f *Faulty) Subscribe(ctx context.Context, channels ...string) error {
	faults := f.record(OperationSubscribe, channels)
	return faults.apply(ctx, faults.Subscribe, func() error { return f.broker.Subscribe(ctx, channels...) })
}

// Unsubscribe calls the broker's Unsubscribe as the faults say.
func (f *Faulty) Unsubscribe(ctx context.Context, channels ...string) error {
	faults := f.record(OperationUnsubscribe, channels)
	return faults.apply(ctx, faults.Unsubscribe, func() error { return f.broker.Unsubscribe(ctx, channels...) })
}

// History calls the broker's History, or fails.
func (f *Faulty) History(ctx context.Context, channel string, query cluster.HistoryQuery) (cluster.HistoryPage, error) {
	historian, err := f.historian()
	if err != nil {
		return cluster.HistoryPage{}, err
	}
	return historian.History(ctx, channel, query)
}

// RemoveFromHistory calls the broker's RemoveFromHistory, or fails.
func (f *Faulty) RemoveFromHistory(ctx context.Context, channel string, position cluster.Position) (bool, error) {
	historian, err := f.historian()
	if err != nil {
		return false, err
	}
	return historian.RemoveFromHistory(ctx, channel, position)
}

// ClearHistory calls the broker's ClearHistory, or fails.
func (f *Faulty) ClearHistory(ctx context.Context, channel string) error {
	historian, err := f.historian()
	if err != nil {
		return err
	}
	return historian.ClearHistory(ctx, channel)
}

func (f *Faulty) historian() (cluster.Historian, error) {
	f.mu.Lock()
	err := f.faults.History
	f.mu.Unlock()
	historian, is := f.broker.(cluster.Historian)
	if err == nil && !is {
		err = errors.ErrUnsupported
	}
	return historian, err
}

// Ready calls the broker's Ready, or fails.
func (f *Faulty) Ready(ctx context.Context) error {
	f.mu.Lock()
	err := f.faults.Ready
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.broker.Ready(ctx)
}

// Close closes the broker.
func (f *Faulty) Close(ctx context.Context) error {
	return f.broker.Close(ctx)
}

func (f *Faulty) record(operation Operation, channels []string) Faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, Call{Operation: operation, Channels: append([]string(nil), channels...)})
	return f.faults
}

func (f Faults) apply(ctx context.Context, failure error, call func() error) error {
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if f.Hold != nil {
		select {
		case <-f.Hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if failure != nil {
		return failure
	}
	err := call()
	if err == nil && f.LoseAnswer {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}
