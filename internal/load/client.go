//go:build linux

package load

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/stoa-io/stoa/internal/load/procstat"
	"github.com/stoa-io/stoa/internal/load/protocol"
	"github.com/stoa-io/stoa/internal/load/rawnet"
)

const (
	// patience is how long the input may pause while something is missing.
	patience = 10 * time.Second
	// ring bounds the messages in flight in one room.
	ring = 256
	// maxSamples bounds the recorded latencies.
	maxSamples = 1 << 22
	// openAtOnce bounds the connections that are being set up. It is far below
	// the listener's backlog, where an overflow costs a second.
	openAtOnce = 64
)

// A Client holds connections and executes commands, all on one goroutine.
type Client struct {
	poller   *rawnet.Poller
	stop     int // a descriptor whose readiness ends a wait for commands, or -1
	stopping bool
	conns    []*conn // by descriptor
	open     []*conn // in the order in which they were opened
	rooms    []*room // by number
	buffer   []byte
	outgoing []byte
	start    time.Time

	address  netip.AddrPort
	upgrades [][]byte // the connections send them in turn
	hello    []byte   // of the connections

	// Callbacks of the running command.
	ready    func(*conn) error // the connection is set up
	answered func(*conn) error // its operation is answered
	closed   func(*conn)       // it has closed as intended

	inFlight   int // connections being set up or closed, unanswered operations
	received   uint64
	deliveries uint64
	pongs      int
	complete   []*room // rooms in which a message has reached all receivers
	sampling   bool
	latencies  []int64
	echo       protocol.AskTemplate
	count      protocol.MessageTemplate
	free       []*conn // whose asks have been answered
	emitted    uint64  // events to be counted by the current server
}

// A room is one room as this client's connections know it.
type room struct {
	name      string
	template  protocol.MessageTemplate
	joinFrame []byte
	publisher *conn
	receivers uint32
	sent      uint64
	completed uint64 // messages that have reached all receivers
	listed    bool   // in Client.complete
	counts    []uint32
	sentTimes []int64 // nanoseconds since Client.start
}

// New returns a client without connections.
func New() (*Client, error) { return newClient(false) }

// newClient takes raw for rawnet.NewPoller.
func newClient(raw bool) (*Client, error) {
	poller, err := rawnet.NewPoller(raw)
	if err != nil {
		return nil, err
	}
	return &Client{poller: poller, stop: -1, conns: make([]*conn, rawnet.MaxFiles),
		buffer: make([]byte, 256<<10), start: time.Now(),
		echo:  protocol.NewAskTemplate(protocol.EventEcho),
		count: protocol.NewMessageTemplate("", protocol.EventCount)}, nil
}

// Close closes all connections.
func (c *Client) Close() {
	for _, conn := range c.conns {
		if conn != nil {
			rawnet.Close(conn.fd)
		}
	}
	c.poller.Close()
}

// Do executes a command. After an error the connections are in an unknown
// state.
func (c *Client) Do(cmd Command) (Report, error) {
	if cmd.Address != "" {
		address, err := netip.ParseAddrPort(cmd.Address)
		if err != nil {
			return Report{}, err
		}
		if c.address != address {
			c.emitted = 0
		}
		c.address, c.upgrades, c.hello = address, upgradeRequests(cmd), helloFrame
		if cmd.Positions {
			c.hello = positionsFrame
		}
	}
	switch cmd.Action {
	case ActionOpen:
		return c.measure(cmd, c.openAll)
	case ActionPing:
		return c.measure(cmd, c.pingAll)
	case ActionPublish:
		if cmd.Latencies {
			return c.sample(cmd, c.publish)
		}
		return c.measure(cmd, c.publish)
	case ActionPace:
		return c.sample(cmd, c.pace)
	case ActionOperate:
		return c.measure(cmd, c.operate)
	case ActionSetUp:
		return c.measure(cmd, c.setUpAndClose)
	case ActionAsk, ActionRound:
		return c.measure(cmd, c.ask)
	case ActionEmit:
		return c.measure(cmd, c.emit)
	}
	return Report{}, fmt.Errorf("load: unknown action %q", cmd.Action)
}

// sample measures run and records the latencies of its deliveries.
func (c *Client) sample(cmd Command, run func(Command, *Report) error) (Report, error) {
	c.latencies, c.sampling = c.latencies[:0], true
	defer func() { c.sampling = false }()
	r, err := c.measure(cmd, run)
	slices.Sort(c.latencies)
	r.P50 = time.Duration(Percentile(c.latencies, 0.50))
	r.P99 = time.Duration(Percentile(c.latencies, 0.99))
	return r, err
}

// measure reads the clocks before and after run, which begins and ends with
// nothing in flight.
func (c *Client) measure(cmd Command, run func(Command, *Report) error) (Report, error) {
	var r Report
	before := c.deliveries
	pids := append([]int{os.Getpid(), cmd.ServerPID}, cmd.OtherPIDs...)
	cpu, err := procstat.CPUTimes(pids)
	if err != nil {
		return r, err
	}
	start := time.Now()
	if err := run(cmd, &r); err != nil {
		return r, err
	}
	r.Elapsed = time.Since(start)
	after, err := procstat.CPUTimes(pids)
	if err != nil {
		return r, err
	}
	for i := range after {
		after[i] -= cpu[i]
	}
	r.ClientCPU, r.ServerCPU, r.OtherCPU = after[0], after[1], after[2:]
	r.Deliveries = c.deliveries - before
	return r, nil
}

// turn waits for at most timeout and handles the ready connections. A negative
// timeout is no limit.
func (c *Client) turn(timeout time.Duration) error {
	events, err := c.poller.Wait(timeout)
	if err != nil {
		return err
	}
	for i := range events {
		fd := int(events[i].Fd)
		if fd == c.stop {
			c.stopping = true
			continue
		}
		if conn := c.conns[fd]; conn != nil {
			if err := c.readable(conn); err != nil {
				return fmt.Errorf("%w (connection %d, %v)", err, conn.number, conn.phase)
			}
		}
	}
	return nil
}

// until takes turns until done returns true. It calls after, which may be nil,
// after each turn.
func (c *Client) until(done func() bool, missing string, after func() error) error {
	last, lastReceived := time.Now(), c.received
	for !done() {
		if err := c.turn(time.Second); err != nil {
			return err
		}
		if after != nil {
			if err := after(); err != nil {
				return err
			}
		}
		if c.received != lastReceived {
			last, lastReceived = time.Now(), c.received
		} else if time.Since(last) > patience {
			return fmt.Errorf("load: received nothing for %v, still missing: %s", patience, missing)
		}
	}
	return nil
}

func (c *Client) now() int64 { return int64(time.Since(c.start)) }
