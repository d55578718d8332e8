package cluster_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// kept is the namespace whose rooms have a history.
const kept = "kept"

// ledger is numbered messages in rooms with history, and clients that leave
// and return. Within the retention each client has to receive each message
// once and in order, or to learn that it did not.
type ledger struct {
	t         testing.TB
	nodes     []*testNode
	rooms     []string
	stop      chan struct{}
	end       func() // closes stop, once
	group     sync.WaitGroup
	sent      []atomic.Int64 // by publisher
	wanderers []*wanderer
}

// wanderer is a client that leaves and returns. Its fields are guarded by
// mu.
type wanderer struct {
	ledger *ledger
	room   int

	mu        sync.Mutex
	position  string
	id        string
	next      map[int]int64 // the expected number, by publisher
	maySkip   map[int]bool  // publishers whose next number may be greater: the client has had notice
	received  int
	visits    int
	story     string // of the visit, for complaints
	recovered int
	told      int // visits that were not recovered, and notices of gaps
	lost      int // messages that are missing although the client was not told
	repeated  int // messages that came again, or out of order
}

type ledgerSize struct {
	rooms, publishers, wanderers int
	pause                        time.Duration // between two messages of a publisher
	here, away                   time.Duration // at most
}

var smallLedger = ledgerSize{
	rooms: 3, publishers: 2, wanderers: 8, pause: 20 * time.Millisecond,
	here: 600 * time.Millisecond, away: 600 * time.Millisecond,
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

func startLedger(t testing.TB, s ledgerSize, nodes []*testNode) *ledger {
	t.Helper()
	l := &ledger{t: t, nodes: nodes, stop: make(chan struct{}), sent: make([]atomic.Int64, s.rooms*s.publishers)}
	l.end = sync.OnceFunc(func() { close(l.stop) })
	t.Cleanup(func() { l.end(); l.group.Wait() })
	for i := range s.rooms {
		l.rooms = append(l.rooms, "room "+strconv.Itoa(i))
	}
	for i := range s.rooms * s.wanderers {
		w := &wanderer{ledger: l, room: i % s.rooms, next: make(map[int]int64), maySkip: make(map[int]bool)}
		l.wanderers = append(l.wanderers, w)
		l.group.Go(func() { w.wander(s, rand.New(rand.NewPCG(uint64(i), 7))) })
	}
	for i := range l.sent {
		l.group.Go(func() { l.publish(i, s) })
	}
	return l
}

// publish emits numbered messages on one connection to the end.
func (l *ledger) publish(publisher int, s ledgerSize) {
	c, err := openClient(l.nodes[publisher%len(l.nodes)].Addr().String(), func(string) {})
	if err != nil {
		l.t.Error(err)
		return
	}
	defer c.close()
	room := l.rooms[publisher%s.rooms]
	if err := c.connect(kept); err != nil {
		l.t.Error(err)
		return
	}
	if err := c.join(kept, room); err != nil {
		l.t.Error(err)
		return
	}
	ticker := time.NewTicker(s.pause)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			if err := c.sync(kept); err != nil {
				l.t.Error(err)
			}
			return
		case <-ticker.C:
			number := l.sent[publisher].Load()
			if err := c.send(emit(kept, room, "e", fmt.Sprintf("%d %d", publisher, number))); err != nil {
				l.t.Errorf("publisher %d: %v", publisher, err)
				return
			}
			l.sent[publisher].Add(1)
		}
	}
}

// wander visits random nodes until the end.
func (w *wanderer) wander(s ledgerSize, random *rand.Rand) {
	for {
		w.visit(random.IntN(len(w.ledger.nodes)), time.Duration(random.Int64N(int64(s.here))))
		select {
		case <-w.ledger.stop:
			return
		case <-time.After(time.Duration(random.Int64N(int64(s.away)))):
		}
	}
}

// visit comes back, stays for a while, and vanishes.
func (w *wanderer) visit(at int, stay time.Duration) {
	c, err := w.come(at)
	if err != nil {
		return // without Redis: the join was refused, and nothing is received
	}
	defer c.close()
	select {
	case <-c.gone:
	case <-w.ledger.stop:
	case <-time.After(stay):
	}
}

func (w *wanderer) come(at int) (*client, error) {
	c, err := openClientWith(w.ledger.nodes[at].Addr().String(), " positions", w.receive)
	if err != nil {
		w.ledger.t.Error(err)
		return nil, err
	}
	if err := c.connect(kept); err != nil {
		c.close()
		return nil, err
	}
	w.mu.Lock()
	position, id := w.position, w.id
	w.mu.Unlock()
	// The answer is read before the messages that follow it.
	answered := make(chan error, 1)
	c.mu.Lock()
	c.onReply = func(reply string) { answered <- w.answered(reply, c.id, position != "") }
	c.mu.Unlock()
	if err := c.send("$r;" + kept + ";" + w.ledger.rooms[w.room] + ";_OnRoomRecover;0;0;" + position + ",0," + id + ";"); err != nil {
		c.close()
		return nil, err
	}
	select {
	case err = <-answered:
	case <-c.gone:
		err = c.problem()
	case <-time.After(patience):
		err = fmt.Errorf("no answer to a join within %v", patience)
		w.ledger.t.Error(err)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// answered takes the answer to a join, before the messages behind it.
func (w *wanderer) answered(reply, id string, positioned bool) error {
	m, err := wire.Parse([]byte(reply), false)
	if err != nil || m.Error {
		return fmt.Errorf("the join was answered %.200q, %v", reply, err)
	}
	answer, _, ok := wire.ParseRecoveryAnswer(m.Body)
	if !ok {
		return fmt.Errorf("the join was answered %.200q", reply)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.visits++
	w.story = fmt.Sprintf("visit %d since %s as %s from %s, answered %+v", w.visits, time.Now().Format("05.000"), id, w.position, answer)
	w.id = id
	switch {
	case answer.Recovered:
		w.recovered++
	case positioned:
		w.told++
		w.skip()
	default:
		w.skip() // the first visit begins where it comes
	}
	if answer.Count == 0 && answer.Position != "" {
		w.position = answer.Position
	}
	return nil
}

// skip lets the next number of each publisher be any greater one.
func (w *wanderer) skip() {
	for i := range w.ledger.sent {
		w.maySkip[i] = true
	}
}

// receive takes a message of the room.
func (w *wanderer) receive(text string) {
	m, err := wire.Parse([]byte(text), false)
	if err != nil {
		w.ledger.t.Errorf("received %.200q: %v", text, err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if string(m.Event) == wire.EventHistoryGap {
		w.told++
		w.skip()
		return
	}
	if position, ok := strings.CutPrefix(string(m.Token), "@"); ok && position != "" {
		w.position = position
	} else {
		w.ledger.t.Errorf("received %.200q, want a position", text)
	}
	var publisher int
	var number int64
	if _, err := fmt.Sscanf(string(m.Body), "%d %d", &publisher, &number); err != nil {
		w.ledger.t.Errorf("received %.200q", text)
		return
	}
	w.received++
	switch next := w.next[publisher]; {
	case number < next:
		w.repeated++
	case number > next && !w.maySkip[publisher]:
		w.lost += int(number - next)
		w.ledger.t.Errorf("%s: messages %d to %d of publisher %d are lost; %s", time.Now().Format("05.000"), next, number-1, publisher, w.story)
	}
	w.next[publisher] = max(w.next[publisher], number+1)
	w.maySkip[publisher] = false
}

// finish stops the publishers, lets every wanderer come back for good, and
// checks what each has received. Of messages that Redis itself has lost, the
// clients must have had notice.
func (l *ledger) finish() {
	l.t.Helper()
	l.end()
	l.group.Wait()
	awaitReady(l.t, l.nodes, true)
	var received, visits, recovered, told, lost, repeated int
	for i, w := range l.wanderers {
		var c *client
		testkit.Eventually(l.t, "a client is back", func() bool {
			var err error
			c, err = w.come(i % len(l.nodes))
			return err == nil
		})
		defer c.close()
	}
	for _, w := range l.wanderers {
		testkit.Eventually(l.t, "a client is level", func() bool { return w.level() })
		w.mu.Lock()
		received, visits, recovered = received+w.received, visits+w.visits, recovered+w.recovered
		told, lost, repeated = told+w.told, lost+w.lost, repeated+w.repeated
		w.mu.Unlock()
	}
	var sent int64
	for i := range l.sent {
		sent += l.sent[i].Load()
	}
	var stats node.HistoryStats
	for _, n := range l.nodes {
		s := n.Stats().History
		stats.Reads, stats.Repaired, stats.Gaps = stats.Reads+s.Reads, stats.Repaired+s.Repaired, stats.Gaps+s.Gaps
	}
	l.t.Logf("%d messages sent, %d received in %d visits, %d of them recovered; %d times told of a loss; %d lost, %d repeated; %d reads, %d repaired, %d gaps",
		sent, received, visits, recovered, told, lost, repeated, stats.Reads, stats.Repaired, stats.Gaps)
	if repeated > 0 || lost > 0 {
		l.t.Errorf("%d messages are lost and %d repeated", lost, repeated)
	}
	if recovered < len(l.wanderers) {
		l.t.Errorf("only %d visits were recovered: this test proves nothing", recovered)
	}
}

// level reports whether the client has the last message of each publisher of
// its room, unless it had notice that some are missing.
func (w *wanderer) level() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for publisher := range w.ledger.sent {
		mine := publisher%len(w.ledger.rooms) == w.room
		if mine && w.next[publisher] < w.ledger.sent[publisher].Load() && !w.maySkip[publisher] {
			return false
		}
	}
	return true
}

func (l *ledger) told() (told int) {
	for _, w := range l.wanderers {
		w.mu.Lock()
		told += w.told
		w.mu.Unlock()
	}
	return told
}

// progress waits until the publishers have sent so many more messages.
func (l *ledger) progress(count int64) {
	l.t.Helper()
	for i := range l.sent {
		target := l.sent[i].Load() + count
		testkit.Eventually(l.t, "the publishers go on", func() bool { return l.sent[i].Load() >= target })
	}
}
