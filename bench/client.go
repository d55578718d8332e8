//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"syscall"
	"time"
)

const (
	// patience is how long nothing at all may arrive while something is missing.
	patience = 10 * time.Second
	// ring is the number of messages of one room that may be under way.
	ring = 256
	// maxSamples bounds the latencies that are kept.
	maxSamples = 1 << 22
	// openAtOnce bounds the connections that are being set up; it is far below the
	// listener's queue, where an overflow costs a second.
	openAtOnce = 64
)

// A client holds connections and carries out commands, all on one goroutine.
type client struct {
	poller   *poller
	stop     int // a descriptor whose readiness ends a wait for commands, or -1
	stopping bool
	conns    []*clientConn // by descriptor
	open     []*clientConn // in the order they were opened
	rooms    []*clientRoom // by number
	buffer   []byte
	outgoing []byte
	start    time.Time

	address netip.AddrPort
	upgrade []byte

	// What the running command wants to be told.
	ready    func(*clientConn) error // has joined what it had to join
	answered func(*clientConn) error // its operation is done
	closed   func(*clientConn)       // has been closed as intended

	inFlight   int // connections being set up or closed, operations not answered
	received   uint64
	deliveries uint64
	pongs      int
	complete   []*clientRoom // rooms in which a message has reached everyone
	sampling   bool
	latencies  []int64
	echo       askForm
	count      messageForm
	free       []*clientConn // whose asks have been answered
	emitted    uint64        // events to be counted, to the server of now
}

// A clientRoom is one room as this client's connections know it.
type clientRoom struct {
	name      string
	form      messageForm
	joinFrame []byte
	publisher *clientConn
	receivers uint32
	sent      uint64
	completed uint64 // messages that all receivers have got
	listed    bool   // in client.complete
	counts    []uint32
	sentTimes []int64 // nanoseconds since client.start
}

func newClient(raw bool) (*client, error) {
	poller, err := newPoller(raw)
	if err != nil {
		return nil, err
	}
	return &client{poller: poller, stop: -1, conns: make([]*clientConn, maxFiles),
		buffer: make([]byte, 256<<10), start: time.Now(), echo: newAskForm(eventEcho), count: newMessageForm("", eventCount)}, nil
}

func (c *client) close() {
	for _, conn := range c.conns {
		if conn != nil {
			closeSocket(conn.fd)
		}
	}
	c.poller.close()
}

// runClient is "bench client": it reads commands from stdin until it ends and
// answers each with a report. Between commands it keeps answering pings.
func runClient(stdin io.Reader, stdout io.Writer) error {
	debug.SetGCPercent(-1)
	if err := raiseFileLimit(); err != nil {
		return err
	}
	c, err := newClient(true)
	if err != nil {
		return err
	}
	defer c.close()
	c.stop = syscall.Stdin
	if err := c.poller.add(c.stop); err != nil {
		return err
	}
	lines := bufio.NewReader(stdin)
	encoder := json.NewEncoder(stdout)
	for {
		c.stopping = false
		for !c.stopping {
			if err := c.turn(-1); err != nil {
				return errors.Join(err, encoder.Encode(report{Error: err.Error()}))
			}
		}
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var cmd command
		if err := json.Unmarshal(line, &cmd); err != nil {
			return err
		}
		answer, err := c.carryOut(cmd)
		if err != nil {
			answer.Error = err.Error()
		}
		if err := encoder.Encode(answer); err != nil {
			return err
		}
	}
}

func (c *client) carryOut(cmd command) (report, error) {
	if cmd.Address != "" {
		address, err := netip.ParseAddrPort(cmd.Address)
		if err != nil {
			return report{}, err
		}
		if c.address != address {
			c.emitted = 0
		}
		c.address, c.upgrade = address, upgradeRequest(cmd.Address)
	}
	switch cmd.Action {
	case actionOpen:
		return c.measure(cmd, c.openAll)
	case actionPing:
		return c.measure(cmd, c.pingAll)
	case actionPublish:
		if cmd.Latencies {
			return c.sample(cmd, c.publish)
		}
		return c.measure(cmd, c.publish)
	case actionPace:
		return c.sample(cmd, c.pace)
	case actionOperate:
		return c.measure(cmd, c.operate)
	case actionSetUp:
		return c.measure(cmd, c.setUpAndClose)
	case actionAsk, actionRound:
		return c.measure(cmd, c.ask)
	case actionEmit:
		return c.measure(cmd, c.emit)
	}
	return report{}, fmt.Errorf("bench: unknown action %q", cmd.Action)
}

// sample measures run and keeps the latencies of its deliveries.
func (c *client) sample(cmd command, run func(command, *report) error) (report, error) {
	c.latencies, c.sampling = c.latencies[:0], true
	defer func() { c.sampling = false }()
	answer, err := c.measure(cmd, run)
	slices.Sort(c.latencies)
	answer.P50 = time.Duration(percentile(c.latencies, 0.50))
	answer.P99 = time.Duration(percentile(c.latencies, 0.99))
	return answer, err
}

// measure reads the clocks before and after run, which begins and ends with
// nothing outstanding.
func (c *client) measure(cmd command, run func(command, *report) error) (report, error) {
	var r report
	before := c.deliveries
	pids := append([]int{os.Getpid(), cmd.ServerPID}, cmd.OtherPIDs...)
	cpu, err := cpuTimes(pids)
	if err != nil {
		return r, err
	}
	start := time.Now()
	if err := run(cmd, &r); err != nil {
		return r, err
	}
	r.Elapsed = time.Since(start)
	after, err := cpuTimes(pids)
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

// turn waits for at most timeout (negative: no limit) and handles what is ready.
func (c *client) turn(timeout time.Duration) error {
	events, err := c.poller.wait(timeout)
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

// until takes turns until done; each turn is followed by after, which may be nil.
func (c *client) until(done func() bool, missing string, after func() error) error {
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
			return fmt.Errorf("bench: nothing has come for %v, still missing: %s", patience, missing)
		}
	}
	return nil
}

func (c *client) now() int64 { return int64(time.Since(c.start)) }
