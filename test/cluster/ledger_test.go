package cluster_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

const (
	// kept is the namespace whose rooms have a history.
	kept = "kept"
	// keptConfiguration is the same for the program.
	keptConfiguration = "namespaces:\n  default: {}\n  " + kept + ":\n    relay: [rooms]\n" +
		"    history: {messages: 10000, age: 10m, bytes: 16MiB}\n"
	// recoveryVariable makes the tests of recovery long.
	recoveryVariable = "STOA_RECOVERY"
)

// ledger is numbered messages in rooms with history, and clients that leave
// and return. Within the retention each client has to receive each message
// once and in order, or to learn that it did not.
type ledger struct {
	t         testing.TB
	size      ledgerSize
	places    []ledgerNode
	nodes     []*testNode // of the places, if they are in this process
	ending    bool        // nodes end during the test
	confirms  *confirms   // nil: the publishers emit
	rooms     []string
	stop      chan struct{}
	end       func() // closes stop, once
	group     sync.WaitGroup
	wanderers []*wanderer

	mu      sync.Mutex
	sources []*source // guarded by mu
}

// ledgerNode is a node that clients visit. It has no address while it is down.
type ledgerNode interface {
	address() string
	stats() node.HistoryStats
}

func (n *testNode) address() string          { return n.Addr().String() }
func (n *testNode) stats() node.HistoryStats { return n.Stats().History }

// source is one connection of a publisher, with numbers of its own.
type source struct {
	room int
	sent atomic.Int64
	// cut: its node has ended. Its last messages may never have been published.
	cut atomic.Bool
}

type ledgerSize struct {
	rooms, publishers, wanderers int           // publishers and wanderers of each room
	pause                        time.Duration // between two messages of a publisher
	here, away                   time.Duration // at most
	leastAway                    time.Duration
	phase                        int64         // messages of each publisher before a fault, and after it
	outage                       time.Duration // the length of a fault
	kills                        int           // of subscriptions
}

// sizeOfLedger is 24 clients, or 300 in the long form.
func sizeOfLedger() ledgerSize {
	if os.Getenv(recoveryVariable) == "long" {
		return ledgerSize{
			rooms: 20, publishers: 2, wanderers: 15, pause: 100 * time.Millisecond,
			here: 20 * time.Second, leastAway: time.Second, away: time.Minute,
			phase: 400, outage: 10 * time.Second, kills: 60,
		}
	}
	return ledgerSize{
		rooms: 3, publishers: 2, wanderers: 8, pause: 20 * time.Millisecond,
		here: 600 * time.Millisecond, away: 600 * time.Millisecond,
		phase: 75, outage: 3 * time.Second, kills: 8,
	}
}

// keepingNodes are nodes whose rooms have a history that is long enough for the
// whole test.
func keepingNodes(t testing.TB, count int, config func(i int) redisbroker.Config) []*testNode {
	t.Helper()
	nodes := make([]*testNode, count)
	for i := range nodes {
		nodes[i] = startNode(t, nodeOptions{id: "n" + strconv.Itoa(i), redis: config(i), change: func(c *node.Config) {
			c.Namespaces[kept] = node.NamespaceOptions{
				Relay:   node.RelayRooms,
				History: node.HistoryOptions{Messages: 10_000, Age: 10 * time.Minute, Bytes: 16 << 20},
			}
		}})
	}
	awaitMembers(t, nodes, count)
	return nodes
}

// startLedger begins with nodes of this process, which do not end.
func startLedger(t testing.TB, nodes []*testNode) *ledger {
	t.Helper()
	l := newLedger(t)
	l.nodes = nodes
	for _, n := range nodes {
		l.places = append(l.places, n)
	}
	l.start()
	return l
}

// newLedger makes a ledger without places; start begins it.
func newLedger(t testing.TB) *ledger {
	l := &ledger{t: t, size: sizeOfLedger(), stop: make(chan struct{})}
	l.end = sync.OnceFunc(func() { close(l.stop) })
	t.Cleanup(func() { l.end(); l.group.Wait() })
	return l
}

func (l *ledger) start() {
	l.t.Helper()
	s := l.size
	for i := range s.rooms {
		l.rooms = append(l.rooms, "room "+strconv.Itoa(i))
	}
	for i := range s.rooms * s.wanderers {
		w := &wanderer{ledger: l, room: i % s.rooms, next: make(map[int]int64), seen: make(map[int]bool)}
		l.wanderers = append(l.wanderers, w)
		l.group.Go(func() { w.wander(rand.New(rand.NewPCG(uint64(i), 7))) })
	}
	publisher := l.publisher
	if l.confirms != nil {
		publisher = l.confirmer
		l.startSteady()
	}
	for i := range s.rooms * s.publishers {
		l.group.Go(func() { publisher(i) })
	}
	testkit.Eventually(l.t, "all publishers publish", func() bool { return len(l.allSources()) >= s.rooms*s.publishers })
}

// publisher publishes to the end. When its node has ended, it goes on with a
// new source at the next one.
func (l *ledger) publisher(number int) {
	for place := number; ; place++ {
		err := l.publish(l.places[place%len(l.places)].address(), number%len(l.rooms))
		if err == nil {
			return
		}
		if !l.ending {
			l.t.Errorf("publisher %d: %v", number, err)
			return
		}
		select {
		case <-l.stop:
			return
		case <-time.After(l.size.pause):
		}
	}
}

// publish emits numbered messages on one connection to the end, or until it
// fails.
func (l *ledger) publish(address string, room int) error {
	c, err := openClient(address, func(string) {})
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.connect(kept); err != nil {
		return err
	}
	if err := c.join(kept, l.rooms[room]); err != nil {
		return err
	}
	from, number := l.addSource(room)
	ticker := time.NewTicker(l.size.pause)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			if err = c.sync(kept); err == nil {
				return nil
			}
		case <-c.gone:
			err = c.problem()
		case <-ticker.C:
			if err = c.send(emit(kept, l.rooms[room], "e", fmt.Sprintf("%d %d", number, from.sent.Load()))); err == nil {
				from.sent.Add(1)
				continue
			}
		}
		from.cut.Store(true)
		return err
	}
}

func (l *ledger) addSource(room int) (added *source, number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	added = &source{room: room}
	l.sources = append(l.sources, added)
	return added, len(l.sources) - 1
}

// allSources returns a slice that is not changed.
func (l *ledger) allSources() []*source {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sources[:len(l.sources):len(l.sources)]
}

// phase waits until the publishers have sent some more messages.
func (l *ledger) phase() {
	l.t.Helper()
	l.progress(l.size.phase)
}

// progress waits until the publishers have sent so many more messages.
func (l *ledger) progress(count int64) {
	l.t.Helper()
	limit := testkit.Patience + 2*time.Duration(count)*l.size.pause
	sources := l.allSources()
	targets := make([]int64, len(sources))
	for i, from := range sources {
		targets[i] = from.sent.Load() + count
	}
	for i, from := range sources {
		testkit.EventuallyWithin(l.t, "the publishers go on", limit, func() bool {
			return from.sent.Load() >= targets[i] || from.cut.Load()
		})
	}
}

// published returns how many messages of a source were published: all that were
// sent, or those that any client has received if the source was cut.
func (l *ledger) published(number int) int64 {
	from := l.allSources()[number]
	if !from.cut.Load() {
		return from.sent.Load()
	}
	most := int64(0)
	for _, w := range l.wanderers {
		w.mu.Lock()
		most = max(most, w.next[number])
		w.mu.Unlock()
	}
	return most
}

// finish stops the publishers, lets every wanderer come back for good, and
// checks what each has received. Of messages that Redis itself has lost, the
// clients must have had notice.
func (l *ledger) finish() {
	l.t.Helper()
	l.end()
	l.group.Wait()
	awaitReady(l.t, l.nodes, true)
	for i, w := range l.wanderers {
		var c *client
		testkit.Eventually(l.t, "a client is back", func() bool {
			var err error
			c, err = w.come(i % len(l.places))
			return err == nil
		})
		defer c.close()
	}
	var sent int64
	for number := range l.allSources() {
		var published int64
		for _, w := range l.wanderers {
			testkit.Eventually(l.t, "a client is level", func() bool {
				published = l.published(number)
				return w.level(number, published)
			})
		}
		sent += published
	}
	var received, visits, recovered, told, lost, repeated int
	for _, w := range l.wanderers {
		w.mu.Lock()
		received, visits, recovered = received+w.received, visits+w.visits, recovered+w.recovered
		told, lost, repeated = told+w.told, lost+w.lost, repeated+w.repeated
		w.mu.Unlock()
	}
	var stats node.HistoryStats
	for _, p := range l.places {
		s := p.stats()
		stats.Reads, stats.Repaired, stats.Gaps = stats.Reads+s.Reads, stats.Repaired+s.Repaired, stats.Gaps+s.Gaps
	}
	l.t.Logf("%d messages sent, %d received by %d clients in %d visits, %d of them recovered; %d times told of a loss; "+
		"%d lost, %d repeated or out of order; %d reads, %d repaired, %d gaps",
		sent, received, len(l.wanderers), visits, recovered, told, lost, repeated, stats.Reads, stats.Repaired, stats.Gaps)
	if repeated > 0 || lost > 0 {
		l.t.Errorf("%d messages are lost and %d repeated or out of order", lost, repeated)
	}
	if recovered < len(l.wanderers) {
		l.t.Errorf("only %d visits were recovered: this test proves nothing", recovered)
	}
}

// expectNoNotice fails if a client has had notice of a loss.
func (l *ledger) expectNoNotice() {
	l.t.Helper()
	told := 0
	for _, w := range l.wanderers {
		w.mu.Lock()
		told += w.told
		w.mu.Unlock()
	}
	if told > 0 {
		l.t.Errorf("clients were told of a loss %d times, want never", told)
	}
}

// reportRedis logs which messages Redis itself has lost. It is called after
// finish.
func (l *ledger) reportRedis(address string) {
	l.t.Helper()
	a := openAdmin(l.t, address)
	stored, again := make(map[string]bool), make(map[string]bool)
	for _, room := range l.rooms {
		found, err := a.client.XRange(l.t.Context(), "stoa:h:"+cluster.RoomChannel(kept, room), "-", "+").Result()
		if err != nil {
			l.t.Fatal(err)
		}
		for _, e := range found {
			note(e, stored, again)
		}
	}
	missing, restored := 0, 0
	for number := range l.allSources() {
		for i := range l.published(number) {
			body := fmt.Sprintf("%d %d", number, i)
			switch {
			case stored[body]:
			case again[body]:
				restored++
			default:
				missing++
			}
		}
	}
	l.t.Logf("Redis has lost %d messages for good; %d more are in it only because their nodes have sent them again", missing, restored)
}

// note takes an entry of a stream: a message of which the node knew that Redis
// had none yet, or one that it has sent again.
func note(e redis.XMessage, stored, again map[string]bool) {
	for field, value := range e.Values {
		text, _ := value.(string)
		body := text[strings.LastIndexByte(text, ';')+1:]
		if field == "e" {
			stored[body] = true
		} else {
			again[body] = true
		}
	}
}
