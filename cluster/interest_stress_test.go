package cluster_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/clustertest"
)

const (
	stressLoops    = 5
	stressChannels = 6
	stressSteps    = 600
)

// dispatcher is a handler that passes messages to the loops that have acquired
// the channel, as a node does.
type dispatcher struct {
	interest *cluster.Interest

	mu       sync.Mutex // guards received
	received map[string]uint64
}

func (a *dispatcher) Deliver(channel string, env *cluster.Envelope) {
	loops := a.interest.Loops(channel)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.received[string(env.Payload)] = loops
}

func (a *dispatcher) Congested(int, bool) {}

// Loops come and go at random while the broker fails, waits and loses answers.
// A loop whose subscription was confirmed receives every message, and in the
// end no subscription is left.
func TestInterestUnderFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		wrap func(m *cluster.Memory) slowBroker
	}{
		{"waiting broker", func(m *cluster.Memory) slowBroker { return clustertest.NewFaulty(m) }},
		{"synchronous broker", func(m *cluster.Memory) slowBroker { return syncFaulty{clustertest.NewFaulty(m), m} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			synctest.Test(t, func(t *testing.T) { stress(t, c.wrap, seed) })
		})
	}
}

func stress(t *testing.T, wrap func(m *cluster.Memory) slowBroker, seed uint64) {
	a := &dispatcher{received: make(map[string]uint64)}
	memory := cluster.NewMemory(cluster.MemoryConfig{})
	broker := wrap(memory)
	b := newFixture(t, memory, broker, cluster.InterestConfig{Batch: 3})
	a.interest = b.interest
	if err := memory.Start(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var faults, loops sync.WaitGroup
	faults.Go(func() { changeFaults(broker, rand.New(rand.NewPCG(seed, 0)), stop) })
	for n := range stressLoops {
		l := &stressLoop{t: t, number: n, dispatcher: a, broker: memory,
			random: rand.New(rand.NewPCG(seed, uint64(n)+1)), owned: make(map[string]bool)}
		loops.Go(l.run)
	}
	loops.Wait()
	close(stop)
	faults.Wait()
	broker.Set(clustertest.Faults{})
	b.pass(time.Minute)
	b.expectEmpty()
}

// changeFaults changes the broker's faults at intervals.
func changeFaults(broker slowBroker, random *rand.Rand, stop <-chan struct{}) {
	kinds := []clustertest.Faults{
		{}, {}, {Subscribe: errRefused}, {Unsubscribe: errRefused}, {LoseAnswer: true},
		{Delay: 300 * time.Millisecond}, {Delay: 3 * time.Second}, {Hold: make(chan struct{})},
	}
	for {
		broker.Set(kinds[random.IntN(len(kinds))])
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(random.IntN(2000)) * time.Millisecond):
		}
	}
}

// stressLoop behaves as a node's loop does.
type stressLoop struct {
	t          *testing.T
	number     int
	dispatcher *dispatcher
	broker     *cluster.Memory
	random     *rand.Rand
	owned      map[string]bool
	sent       int
}

func (l *stressLoop) run() {
	for range stressSteps {
		channel := fmt.Sprint("r:chat:", l.random.IntN(stressChannels))
		switch {
		case !l.owned[channel]:
			l.join(channel)
		case l.random.IntN(3) > 0:
			l.expectDelivery(channel)
		default:
			l.leave(channel)
		}
		if l.random.IntN(8) == 0 {
			<-time.After(time.Duration(l.random.IntN(2500)) * time.Millisecond)
		}
	}
	for channel := range l.owned {
		l.leave(channel)
	}
}

func (l *stressLoop) join(channel string) {
	r := acquire(l.dispatcher.interest, channel, l.number)
	if !r.confirmed {
		if err := <-r.answers; err != nil {
			return
		}
	}
	l.owned[channel] = true
	l.expectDelivery(channel)
}

func (l *stressLoop) leave(channel string) {
	delete(l.owned, channel)
	l.dispatcher.interest.Release(channel, l.number)
	if loops := l.dispatcher.interest.Loops(channel); loops&(1<<l.number) != 0 {
		l.t.Errorf("loop %d released %s and is still in %b", l.number, channel, loops)
	}
}

func (l *stressLoop) expectDelivery(channel string) {
	l.sent++
	payload := fmt.Sprintf("%d/%d", l.number, l.sent)
	err := l.broker.Publish(channel, &cluster.Envelope{Payload: []byte(payload)})
	if err != nil && !errors.Is(err, cluster.ErrClosed) {
		l.t.Errorf("Publish = %v, want nil", err)
	}
	l.dispatcher.mu.Lock()
	defer l.dispatcher.mu.Unlock()
	loops, delivered := l.dispatcher.received[payload]
	if !delivered || loops&(1<<l.number) == 0 {
		l.t.Errorf("loop %d was subscribed to %s and missed message %s: delivered %v, to loops %b",
			l.number, channel, payload, delivered, loops)
	}
	delete(l.dispatcher.received, payload)
}
