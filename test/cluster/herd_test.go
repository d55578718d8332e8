package cluster_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// The clients of a herd are in processes of their own, because a process has
// too few open files for all of them and the nodes: this test program, with
// herdVariable set. Each reads herdOrders and answers with herdReports, one
// JSON text in a line.
const (
	herdVariable = "STOA_TEST_HERD"
	herdParts    = 2
	// missed is how many messages each room gets while the herd has no node.
	missed = 5
	// herdDials bounds the clients of a process that connect at a time.
	herdDials = 256
)

// herdOrder makes the clients of a process connect to a node. They join their
// rooms with the positions that they have.
type herdOrder struct {
	Address               string
	First, Clients, Rooms int
}

// herdReport is the outcome, when all clients are level: they have been
// answered, and those that had a position have received the messages after it.
type herdReport struct {
	Error       string `json:",omitempty"`
	Recovered   int
	Level, P99  time.Duration // of all clients, and of 99 in 100, since the order
	Connections int           // that are open
}

// sheep is a client of a herd.
type sheep struct {
	room     string
	position string
	client   *client
	received atomic.Int32
	level    chan struct{} // closed when the last message has arrived
}

// runHerd is the process of clients.
func runHerd(in io.Reader, out io.Writer) {
	var herd []*sheep
	orders, reports := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var order herdOrder
		if err := orders.Decode(&order); err != nil {
			return // the end of the test
		}
		for i := len(herd); i < order.Clients; i++ {
			herd = append(herd, &sheep{room: fmt.Sprint("room ", (order.First+i)%order.Rooms)})
		}
		if err := reports.Encode(move(herd, order.Address)); err != nil {
			return
		}
	}
}

// move lets all clients whose node has ended connect to another one.
func move(herd []*sheep, address string) (report herdReport) {
	var mu sync.Mutex // guards report, and times
	var times []time.Duration
	free := make(chan struct{}, herdDials)
	var group sync.WaitGroup
	began := time.Now()
	for _, s := range herd {
		group.Go(func() {
			free <- struct{}{}
			recovered, err := s.enter(address)
			<-free
			if err == nil && recovered {
				select {
				case <-s.level:
				case <-s.client.gone:
					err = s.client.problem()
				case <-time.After(patience):
					err = fmt.Errorf("%d of %d messages within %v", s.received.Load(), missed, patience)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			times = append(times, time.Since(began))
			switch {
			case err != nil:
				report.Error = err.Error()
			case recovered:
				report.Recovered++
			}
			report.Connections++
		})
	}
	group.Wait()
	slices.Sort(times)
	report.Level, report.P99 = times[len(times)-1], times[(len(times)-1)*99/100]
	return report
}

// enter connects and joins the room, with the position if the client has one.
func (s *sheep) enter(address string) (recovered bool, err error) {
	if s.client != nil {
		<-s.client.gone
	}
	s.received.Store(0)
	level := make(chan struct{})
	s.level = level
	s.client, err = openClientWith(address, " positions", func(string) {
		if s.received.Add(1) == missed {
			close(level)
		}
	})
	if err != nil {
		return false, err
	}
	if err := s.client.connect(kept); err != nil {
		return false, err
	}
	reply, err := s.client.request("$r;" + kept + ";" + s.room + ";_OnRoomRecover;0;0;" + s.position + ",0,;")
	if err != nil {
		return false, err
	}
	m, err := wire.Parse([]byte(reply), false)
	if err != nil {
		return false, err
	}
	answer, _, ok := wire.ParseRecoveryAnswer(m.Body)
	switch {
	case !ok || m.Error:
		return false, fmt.Errorf("the join was answered %.200q", reply)
	case s.position == "":
		s.position = answer.Position
	case !answer.Recovered:
		return false, errors.New("the client has not recovered")
	}
	return answer.Recovered, nil
}

// herdProcess is a process of clients.
type herdProcess struct {
	orders  *json.Encoder
	reports *bufio.Reader
}

func startHerd(t testing.TB) *herdProcess {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(testkit.Environment(), herdVariable+"=1")
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill() // its connections are of no use any more
		_ = in.Close()
		_ = command.Wait()
	})
	return &herdProcess{orders: json.NewEncoder(in), reports: bufio.NewReader(out)}
}

// move gives all processes an order at once, and returns their reports.
func moveHerd(t testing.TB, herd []*herdProcess, orders []herdOrder) []herdReport {
	t.Helper()
	reports := make([]herdReport, len(herd))
	var group sync.WaitGroup
	for i, p := range herd {
		group.Go(func() {
			if err := p.orders.Encode(orders[i]); err != nil {
				t.Error(err)
				return
			}
			line, err := p.reports.ReadBytes('\n')
			if err == nil {
				err = json.Unmarshal(line, &reports[i])
			}
			if err == nil && reports[i].Error != "" {
				err = errors.New(reports[i].Error)
			}
			if err != nil {
				t.Errorf("clients of %s: %v", orders[i].Address, err)
			}
		})
	}
	group.Wait()
	return reports
}

// TestHerdOfKilledNodes: two nodes are killed, and all their clients come back
// at once to two others. Each of these reads each room at most once. The long
// form has 20,000 clients.
func TestHerdOfKilledNodes(t *testing.T) {
	clients := 400
	if os.Getenv(recoveryVariable) == "long" {
		clients = 20_000
	}
	t.Run("one room", func(t *testing.T) { testHerd(t, clients, 1) })
	t.Run("many rooms", func(t *testing.T) { testHerd(t, clients, clients/10) })
}

func testHerd(t *testing.T, clients, rooms int) {
	server := redistest.Start(t)
	var old, others []*keepingProgram
	var herd []*herdProcess
	for i := range herdParts {
		old = append(old, startKeepingProgram(t, fmt.Sprint("old", i), server))
		others = append(others, startKeepingProgram(t, fmt.Sprint("other", i), server))
		herd = append(herd, startHerd(t))
	}
	c := openHerald(t, others[0].address(), server, rooms)
	c.publish(t, 1)
	to := func(programs []*keepingProgram) (orders []herdOrder) {
		for i, p := range programs {
			count := clients / herdParts
			orders = append(orders, herdOrder{Address: p.address(), First: i * count, Clients: count, Rooms: rooms})
		}
		return orders
	}
	moveHerd(t, herd, to(old))
	for _, p := range old {
		p.take().Kill()
	}
	c.publish(t, missed)
	var reads uint64
	var before []float64
	for _, p := range others {
		reads += p.stats().Reads
		before = append(before, p.metric("process_resident_memory_bytes"))
	}
	reports := moveHerd(t, herd, to(others))
	recovered := 0
	for i, p := range others {
		reads -= p.stats().Reads
		recovered += reports[i].Recovered
		t.Logf("node %d: %d clients are level after %v, 99 in 100 after %v; memory %.0f MiB, before %.0f MiB",
			i, reports[i].Connections, reports[i].Level.Round(time.Millisecond), reports[i].P99.Round(time.Millisecond),
			p.metric("process_resident_memory_bytes")/(1<<20), before[i]/(1<<20))
	}
	reads = -reads
	t.Logf("%d clients of %d rooms, %d recovered, with %d reads", clients, rooms, recovered, reads)
	if recovered != clients || reads > uint64(rooms*herdParts) {
		t.Errorf("%d of %d clients have recovered, with %d reads, want all with at most %d", recovered, clients, reads, rooms*herdParts)
	}
}

// herald publishes into the rooms of a herd.
type herald struct {
	*client
	server *admin
	rooms  int
	sent   int // messages in each room
}

// openHerald returns a client of a node, which enters the rooms in turn.
func openHerald(t testing.TB, address string, server *redistest.Server, rooms int) *herald {
	t.Helper()
	c, err := openClient(address, func(string) {})
	if err == nil {
		t.Cleanup(c.close)
		err = c.connect(kept)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &herald{client: c, server: openAdmin(t, server.Addr()), rooms: rooms}
}

// publish emits messages into each room. They are stored when it returns.
func (h *herald) publish(t testing.TB, count int) {
	t.Helper()
	h.sent += count
	for i := range h.rooms {
		room := fmt.Sprint("room ", i)
		if err := h.join(kept, room); err != nil {
			t.Fatal(err)
		}
		for number := range count {
			if err := h.send(emit(kept, room, "e", fmt.Sprint(number))); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.system(kept, room, wire.EventRoomLeave); err != nil {
			t.Fatal(err)
		}
	}
	for i := range h.rooms {
		key := "stoa:h:" + cluster.RoomChannel(kept, fmt.Sprint("room ", i))
		testkit.Eventually(t, "the messages are stored", func() bool {
			length, err := h.server.client.XLen(t.Context(), key).Result()
			return err == nil && length == int64(h.sent)
		})
	}
}

// A crowd comes back at once, after its node was stopped: each node reads each
// room at most once.
func TestHerd(t *testing.T) {
	t.Parallel()
	const rooms, clients = 20, 400
	server := redistest.Start(t)
	nodes := keepingNodes(t, 2, oneServer(server))
	var positions [rooms]string
	for i := range positions {
		room := "room " + strconv.Itoa(i)
		for number := range 10 {
			m := node.Message{Namespace: kept, Room: room, Event: "e", Body: []byte(strconv.Itoa(number))}
			if err := nodes[0].Emit(context.Background(), m, node.EmitOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		testkit.Eventually(t, "the messages are kept", func() bool {
			page, err := nodes[0].History(t.Context(), kept, room, node.HistoryQuery{})
			if err != nil || len(page.Entries) != 10 {
				return false
			}
			positions[i] = string(page.Entries[4].Position)
			return true
		})
	}
	before := nodes[1].Stats().History.Reads
	var group sync.WaitGroup
	var received atomic.Int64
	began := time.Now()
	for i := range clients {
		group.Go(func() {
			c, err := openClientWith(nodes[1].Addr().String(), " positions", func(string) { received.Add(1) })
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(c.close)
			if err := c.connect(kept); err != nil {
				t.Error(err)
				return
			}
			reply, err := c.request("$r;" + kept + ";room " + strconv.Itoa(i%rooms) + ";_OnRoomRecover;0;0;" + positions[i%rooms] + ",0,;")
			if err != nil || !strings.Contains(reply, ";1,") {
				t.Errorf("the join was answered %.200q, %v, want recovery", reply, err)
			}
		})
	}
	group.Wait()
	testkit.Eventually(t, "all are level", func() bool { return received.Load() == clients*5 })
	reads := nodes[1].Stats().History.Reads - before
	t.Logf("%d clients are level after %v, with %d reads", clients, time.Since(began), reads)
	if reads > rooms {
		t.Errorf("%d reads for %d rooms, want one for each", reads, rooms)
	}
}
