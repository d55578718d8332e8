package cluster_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/wire"
)

// confirms are the figures of publishers whose emits are confirmed. They send a
// message until it is, and the next one then.
type confirms struct {
	cut    int // of so many messages one, the connection ends before the answer; 0: none
	copies atomic.Int64
	cuts   atomic.Int64
}

// confirmingLedger begins with nodes of this process and publishers whose emits
// are confirmed.
func confirmingLedger(t testing.TB, nodes []*testNode, cut int) *ledger {
	t.Helper()
	l := newLedger(t)
	l.confirms = &confirms{cut: cut}
	l.nodes = nodes
	for _, n := range nodes {
		l.places = append(l.places, n)
	}
	l.start()
	return l
}

// startSteady adds a member to each room on each node that stays as long as its
// connection.
func (l *ledger) startSteady() {
	for i := range len(l.rooms) * len(l.places) {
		w := &wanderer{ledger: l, room: i % len(l.rooms), next: make(map[int]int64), seen: make(map[int]bool)}
		l.wanderers = append(l.wanderers, w)
		l.group.Go(func() {
			for !l.stopped() {
				w.visit(i%len(l.places), math.MaxInt64)
				outage(l.size.pause)
			}
		})
	}
}

func (l *ledger) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// confirmer publishes numbered messages to the end. Half of them are raw
// clients, and half are those of package client, behind a balancer.
func (l *ledger) confirmer(number int) {
	from, source := l.addSource(number % len(l.rooms))
	room, random := l.rooms[number%len(l.rooms)], rand.New(rand.NewPCG(uint64(number), 3))
	var publish func(body, id string) (confirmed bool)
	if number%2 == 0 {
		p := &confirmer{ledger: l, room: room, place: number, random: random}
		defer p.leave()
		publish = p.publish
	} else {
		p, err := openLibrary(l, room, random)
		if err != nil {
			l.t.Errorf("publisher %d: %v", number, err)
			return
		}
		defer p.close()
		publish = p.publish
	}
	ticker := time.NewTicker(l.size.pause)
	defer ticker.Stop()
	for !l.stopped() {
		<-ticker.C
		count := from.sent.Load()
		if !publish(fmt.Sprintf("%d %d", source, count), fmt.Sprintf("source-%d-message-%d", source, count)) {
			return
		}
		from.sent.Add(1)
	}
}

// confirmer is a raw client. When its connection ends, it goes on at the next
// node, with the message that is not confirmed.
type confirmer struct {
	ledger *ledger
	room   string
	place  int
	random *rand.Rand
	conn   *client // nil: not connected
}

// publish sends a message with copies until it is confirmed.
func (p *confirmer) publish(body, id string) (confirmed bool) {
	l := p.ledger
	request := "$p;" + kept + ";" + p.room + ";_OnRoomPublish;0;0;" + id + ",e;" + body
	began := time.Now()
	for copies := int64(0); ; copies++ {
		if time.Since(began) > 2*patience {
			l.t.Errorf("message %s is not confirmed after %v and %d copies", body, time.Since(began), copies)
			return false
		}
		if !p.come() {
			outage(l.size.pause)
			continue
		}
		if l.confirms.cut > 0 && p.random.IntN(l.confirms.cut) == 0 {
			// The node may have read the message, and may have published it.
			_ = p.conn.send(request)
			l.confirms.cuts.Add(1)
			p.leave()
			continue
		}
		reply, err := p.conn.request(request)
		if err != nil {
			p.leave()
			continue
		}
		m, err := wire.Parse([]byte(reply), false)
		switch {
		case err == nil && !m.Error && len(m.Body) > 0:
			l.confirms.copies.Add(copies)
			return true
		case err != nil || string(m.Body) != wire.ErrUnavailable.Error():
			l.t.Errorf("message %s was answered %.200q", body, reply)
			return false
		}
		outage(l.size.pause)
	}
}

// come connects to the next node, unless there is a connection.
func (p *confirmer) come() bool {
	if p.conn != nil {
		return true
	}
	p.place++
	c, err := openClient(p.ledger.places[p.place%len(p.ledger.places)].address(), func(string) {})
	if err != nil {
		return false
	}
	if c.connect(kept) != nil || c.join(kept, p.room) != nil {
		c.close() // without Redis, or the node ends
		return false
	}
	p.conn = c
	return true
}

func (p *confirmer) leave() {
	if p.conn != nil {
		p.conn.close()
		p.conn = nil
	}
}

// expectOnce checks that each confirmed message is in the streams of the server
// once. If mayLose is true, it logs those that Redis has lost.
func (l *ledger) expectOnce(address string, mayLose bool) {
	l.t.Helper()
	a := openAdmin(l.t, address)
	stored := make(map[string]int)
	for _, room := range l.rooms {
		found, err := a.client.XRange(l.t.Context(), "stoa:h:"+cluster.RoomChannel(kept, room), "-", "+").Result()
		if err != nil {
			l.t.Fatal(err)
		}
		for _, e := range found {
			for _, value := range e.Values {
				text, _ := value.(string)
				stored[text[strings.LastIndexByte(text, ';')+1:]]++
			}
		}
	}
	confirmed, lost, repeated := 0, 0, 0
	for number, from := range l.allSources() {
		for i := range from.sent.Load() {
			confirmed++
			switch count := stored[fmt.Sprintf("%d %d", number, i)]; {
			case count == 0:
				lost++
			case count > 1:
				repeated++
			}
		}
	}
	var repeats, failures uint64
	for _, n := range l.nodes {
		for _, s := range n.broker.Stats().Servers {
			repeats, failures = repeats+s.OnceRepeats, failures+s.OnceFailures
		}
	}
	for _, p := range l.places {
		if p, is := p.(*keepingProgram); is { // without its earlier lives
			repeats += uint64(p.metric(`stoa_broker_once_repeats_total{server="0"}`))
			failures += uint64(p.metric(`stoa_broker_once_failures_total{server="0"}`))
		}
	}
	l.t.Logf("%d messages confirmed, %d further copies sent, %d connections ended before the answer, %d copies not published; "+
		"Redis has lost %d and has %d more than once", confirmed, l.confirms.copies.Load(), l.confirms.cuts.Load(), repeats, lost, repeated)
	if repeated > 0 || lost > 0 && !mayLose || failures > 0 {
		l.t.Errorf("%d confirmed messages are lost, %d are stored more than once, %d were refused; want none", lost, repeated, failures)
	}
}

// alwaysWritten are the arguments of a server that loses nothing.
var alwaysWritten = []string{"--appendonly", "yes", "--appendfsync", "always"}

// TestConfirmedWithoutFailure: publishers lose their connections before the
// answer, and send copies over other nodes.
func TestConfirmedWithoutFailure(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	l := confirmingLedger(t, keepingNodes(t, 3, oneServer(server)), 5)
	for range 2 {
		l.phase()
	}
	l.finish()
	l.expectOnce(server.Addr(), false)
	l.expectNoNotice()
}

// TestConfirmedOverCrash: the server is killed. Messages that it has written
// stay.
func TestConfirmedOverCrash(t *testing.T) {
	for name, c := range map[string]struct {
		arguments []string
		mayLose   bool
		cut       int
	}{
		"always":   {alwaysWritten, false, 5},
		"everysec": {[]string{"--appendonly", "yes", "--appendfsync", "everysec"}, true, 5},
		// A copy on its way over another node may be published again.
		"empty": {nil, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, c.arguments...)
			l := confirmingLedger(t, keepingNodes(t, 3, oneServer(server)), c.cut)
			crashes(t, server, l.nodes, 3, l.phase)
			l.finish()
			l.expectOnce(server.Addr(), c.mayLose)
		})
	}
}

// TestConfirmedOverConnections: all connections of the nodes to the server end,
// again and again.
func TestConfirmedOverConnections(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	l := confirmingLedger(t, keepingNodes(t, 3, oneServer(server)), 20)
	second := min(10, int64(time.Second/l.size.pause)) // or less
	for range l.size.kills {
		l.progress(second)
		server.Command("CLIENT KILL TYPE normal SKIPME yes", "CLIENT KILL TYPE pubsub")
	}
	l.phase()
	l.finish()
	l.expectOnce(server.Addr(), false)
}

// TestConfirmedOverPause: the server stands still.
func TestConfirmedOverPause(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	l := confirmingLedger(t, keepingNodes(t, 3, oneServer(server)), 20)
	l.phase()
	server.Pause()
	awaitReady(t, l.nodes, false)
	outage(l.size.outage)
	server.Resume()
	awaitReady(t, l.nodes, true)
	l.phase()
	l.finish()
	l.expectOnce(server.Addr(), false)
	l.expectNoNotice()
}

// TestConfirmedOverFailover: the master fails, and the Sentinels choose its
// replica. Messages that this one lacks are stored again.
func TestConfirmedOverFailover(t *testing.T) {
	t.Parallel()
	group := redistest.StartGroup(t, "stoa")
	l := confirmingLedger(t, keepingNodes(t, 3, sentinels(group)), 0)
	l.phase()
	group.Master.Kill()
	awaitReady(t, l.nodes, false)
	awaitReady(t, l.nodes, true)
	l.phase()
	l.finish()
	l.expectOnce(group.Replicas[0].Addr(), true)
}

// TestConfirmedOverKilledNode: the publishers of a node that is killed go on
// with other nodes.
func TestConfirmedOverKilledNode(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	l := newLedger(t)
	l.ending, l.confirms = true, &confirms{cut: 20}
	var programs []*keepingProgram
	for i := range 3 {
		programs = append(programs, startKeepingProgram(t, fmt.Sprint("n", i), server))
		l.places = append(l.places, programs[i])
	}
	l.start()
	for range 2 {
		l.phase()
		programs[0].take().Kill()
		l.phase()
		programs[0].start()
	}
	l.phase()
	l.finish()
	l.expectOnce(server.Addr(), false)
	l.expectNoNotice()
}
