package recovery

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/recovery/ring"
	"github.com/stoa-io/stoa/internal/testkit"
)

// TestStress: publishers, slow subscriptions that are lost, slow reads that
// fail, and clients that come and go, all at the same time. STOA_SEED replays
// the choices of one seed, but not the order of goroutines.
func TestStress(t *testing.T) {
	first, end, _ := testkit.Seeds(t, 20)
	for seed := first; seed < end; seed++ {
		synctest.Test(t, func(t *testing.T) { stress(t, seed) })
		if t.Failed() {
			t.Fatalf("replay: STOA_SEED=%d go test -run TestStress ./internal/recovery", seed)
		}
	}
}

const (
	stressChannels = 4
	stressTime     = time.Minute
)

// stressed is a channel: its history, its subscription on the node, and the
// members there.
type stressed struct {
	*broker
	name      string
	partition int

	// link is held for writing while the subscription is lost or restored.
	link  sync.RWMutex
	queue chan cluster.Envelope // on its way to the node

	publishing sync.Mutex // makes the order
	count      int        // of messages

	entering sync.Mutex // serializes the changes of loops
	loops    int        // guarded by broker.mu
	members  []*stressMember
}

// stressMember checks the messages that it receives. It is guarded by the lock
// of the room's stripe.
type stressMember struct {
	channel *stressed
	next    int // the message that it must receive next
	missed  bool
}

func (m *stressMember) receive(sequence int) {
	if sequence < m.next || sequence > m.next && !m.missed {
		m.channel.t.Errorf("%s: message %d, want %d (missed: %v)", m.channel.name, sequence, m.next, m.missed)
	}
	m.next, m.missed = sequence+1, false
}

func stress(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	channels := map[string]*stressed{}
	b := newBroker(t, func(c *Config) {
		c.Loops = func(name string) uint64 {
			ch := channels[name]
			ch.mu.Lock()
			defer ch.mu.Unlock()
			return uint64(min(1, ch.loops))
		}
		c.Partition = func(name string) int { return channels[name].partition }
		c.Deliver = func(name string, _ uint64, m *ring.Message) { channels[name].deliver(m) }
		c.Gap = func(name string, _ uint64) { channels[name].gap() }
		c.Bytes = stripes * (5_000 + random.IntN(100_000))
	})
	b.retention.Messages = []int{5, 50, 500}[random.IntN(3)]
	b.before = func(cluster.HistoryQuery) { pass(time.Duration(rand.IntN(100)) * time.Millisecond) }
	b.after = b.before
	until := time.Now().Add(stressTime)
	var work, links sync.WaitGroup
	stop := make(chan bool)
	for i := range stressChannels {
		ch := &stressed{broker: b, name: fmt.Sprint(i), partition: i % 2, queue: make(chan cluster.Envelope, 100_000)}
		channels[ch.name] = ch
	}
	choices := uint64(0)
	start := func(group *sync.WaitGroup, run func(random *rand.Rand)) {
		choices++
		own := rand.New(rand.NewPCG(seed, choices))
		group.Go(func() { run(own) })
	}
	for _, ch := range channels {
		start(&links, func(own *rand.Rand) { ch.carry(own, stop) })
		for i := range 2 {
			start(&work, func(own *rand.Rand) { ch.publishUntil(own, uint64(i+1), until) })
		}
		for range 5 {
			start(&work, func(own *rand.Rand) { ch.comeAndGo(own, until) })
		}
	}
	for p := range 2 {
		start(&work, func(own *rand.Rand) {
			for time.Now().Before(until) {
				pass(time.Duration(own.IntN(20_000)) * time.Millisecond)
				interrupt(b, channels, p, time.Duration(own.IntN(8_000))*time.Millisecond)
			}
		})
	}
	start(&work, func(own *rand.Rand) {
		for time.Now().Before(until) {
			pass(time.Duration(own.IntN(30_000)) * time.Millisecond)
			b.change(func() { b.fail = errDown })
			pass(time.Duration(own.IntN(10_000)) * time.Millisecond)
			b.change(func() { b.fail = nil })
		}
	})
	work.Wait()
	pass((repairTimeouts + 4) * timeout)
	close(stop)
	links.Wait()
	synctest.Wait()
	for _, ch := range channels {
		for _, m := range ch.members {
			if m.next != ch.count && !m.missed {
				t.Errorf("%s: a member has %d of %d messages", ch.name, m.next, ch.count)
			}
		}
	}
	b.check()
	t.Logf("%+v", b.rooms.Stats())
}

// interrupt loses the subscriptions of a partition for some time.
func interrupt(b *broker, channels map[string]*stressed, partition int, d time.Duration) {
	change := func(lost bool) {
		for _, ch := range channels {
			if ch.partition == partition {
				ch.link.Lock()
				defer ch.link.Unlock()
				for len(ch.queue) > 0 {
					<-ch.queue
				}
				b.subscribe(ch.name, !lost)
			}
		}
		b.interrupted[partition].Store(lost)
		if lost {
			b.rooms.SubscriptionLost(partition)
		}
	}
	change(true)
	pass(d)
	change(false)
}

// carry takes messages to the node, with delay.
func (ch *stressed) carry(random *rand.Rand, stop chan bool) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(random.IntN(50)) * time.Millisecond):
		}
		ch.link.RLock()
		for len(ch.queue) > 0 {
			env := <-ch.queue
			ch.mu.Lock()
			loops := ch.loops
			ch.mu.Unlock()
			if loops > 0 {
				ch.rooms.Receive(ch.name, &env)
			}
		}
		ch.link.RUnlock()
	}
}

func (ch *stressed) publishUntil(random *rand.Rand, incarnation uint64, until time.Time) {
	for number := uint64(1); time.Now().Before(until); number++ {
		pass(time.Duration(random.IntN(300)) * time.Millisecond)
		env := cluster.Envelope{Position: cluster.Position{Incarnation: incarnation, Number: number}}
		ch.publishing.Lock()
		env.Payload = []byte(strconv.Itoa(ch.count))
		ch.count++
		ch.mu.Lock()
		ch.kept[ch.name] = append(ch.kept[ch.name], cluster.HistoryEntry{Envelope: env, Time: time.Now()})
		subscribed := ch.subscribed[ch.name]
		ch.mu.Unlock()
		if subscribed {
			ch.queue <- env
		}
		ch.publishing.Unlock()
	}
}

func sequence(m *ring.Message) int {
	n, _ := strconv.Atoi(string(m.Frame))
	return n
}

// after is the sequence behind a position.
func (ch *stressed) after(p cluster.Position) (sequence int) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if count, is := ch.starts[p]; is {
		return count
	}
	return 1 + slices.IndexFunc(ch.kept[ch.name], func(e cluster.HistoryEntry) bool { return e.Envelope.Position == p })
}

// deliver and gap are called with the lock of the stripe held, like the answer
// to a wish.
func (ch *stressed) deliver(m *ring.Message) {
	for _, to := range ch.members {
		to.receive(sequence(m))
	}
}

func (ch *stressed) gap() {
	for _, to := range ch.members {
		to.missed = true
	}
}

// comeAndGo is one client.
func (ch *stressed) comeAndGo(random *rand.Rand, until time.Time) {
	position := cluster.Position{}
	for time.Now().Before(until) {
		pass(time.Duration(random.IntN(5_000)) * time.Millisecond)
		ch.enter()
		wish := Wish{After: position, Newest: random.IntN(5), MaxBytes: 1 << 30}
		if random.IntN(10) == 0 {
			wish.After = cluster.StartPosition(random.Uint64(), 1)
		}
		m := ch.recoverMember(wish)
		pass(time.Duration(random.IntN(20_000)) * time.Millisecond)
		if time.Now().After(until) {
			return // it stays
		}
		s := ch.rooms.stripe(ch.name)
		s.mu.Lock()
		ch.members = slices.DeleteFunc(ch.members, func(other *stressMember) bool { return other == m })
		next := m.next
		s.mu.Unlock()
		ch.mu.Lock()
		position = cluster.Position{}
		if next > 0 {
			position = ch.kept[ch.name][next-1].Envelope.Position
		}
		ch.mu.Unlock()
		ch.leave()
	}
}

func (ch *stressed) recoverMember(wish Wish) *stressMember {
	m := &stressMember{channel: ch}
	answered := make(chan bool)
	asked := time.Now()
	ch.rooms.Recover(ch.name, wish, func(r Recovery) {
		defer close(answered)
		if took := time.Since(asked); took > timeout {
			ch.t.Errorf("the answer took %v", took)
		}
		head := ch.after(r.Head)
		switch {
		case r.Recovered:
			m.next = ch.after(wish.After)
		case len(r.Messages) > 0:
			m.next = sequence(r.Messages[0])
		case r.Head.IsZero():
			m.missed = true
		default:
			m.next = head
		}
		for _, message := range r.Messages {
			m.receive(sequence(message))
		}
		if !r.Head.IsZero() && m.next != head {
			ch.t.Errorf("%s: recovered %v after %v until %d, but the head is %d", ch.name, r.Recovered, wish.After, m.next, head)
		}
		ch.members = append(ch.members, m)
	})
	<-answered
	return m
}

// enter and leave acquire and release the channel.
func (ch *stressed) enter() {
	ch.entering.Lock()
	ch.mu.Lock()
	ch.loops++
	ch.mu.Unlock()
	ch.link.Lock() // the subscription begins now
	if !ch.interrupted[ch.partition].Load() {
		ch.subscribe(ch.name, true)
	}
	ch.link.Unlock()
	opened := make(chan bool)
	open := ch.rooms.Open(ch.name, func() { close(opened) })
	ch.entering.Unlock()
	if !open {
		<-opened
	}
}

func (ch *stressed) leave() {
	ch.entering.Lock()
	defer ch.entering.Unlock()
	ch.mu.Lock()
	ch.loops--
	ch.mu.Unlock()
	ch.rooms.Release(ch.name)
}
