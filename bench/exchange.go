//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// An exchangeReport is what came of messages that one process published through
// Redis and received itself.
type exchangeReport struct {
	Error    string `json:",omitempty"`
	Messages uint64
	Elapsed  time.Duration
	CPU      time.Duration // of the process
	RedisCPU time.Duration
}

// exchangeRooms is the number of channels; messages take turns in them.
const exchangeRooms = redisRooms

// An exchanger publishes messages through Redis and receives them again. Its
// numbers make it check that each comes once, in the order of its channel.
type exchanger interface {
	// exchange publishes until the deadline and returns when all has come back.
	exchange(deadline time.Time) (messages uint64, err error)
	close()
}

// runExchange is "bench exchange": one measurement after a run that is not counted.
func runExchange(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("exchange", flag.ContinueOnError)
	address := flags.String("redis", "", "host:port of the Redis")
	pid := flags.Int("redis-pid", 0, "its process")
	broker := flags.Int("broker", 0, "use Stoa's broker and keep so many messages outstanding")
	pipeline := flags.Int("pipeline", 0, "use go-redis and publish in pipelines of so many")
	duration := flags.Duration("duration", time.Second, "how long to publish")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r, err := runExchanger(*address, *pid, *broker, *pipeline, *duration)
	if err != nil {
		r.Error = err.Error()
	}
	return json.NewEncoder(stdout).Encode(r)
}

func runExchanger(address string, pid, broker, pipeline int, duration time.Duration) (r exchangeReport, err error) {
	var e exchanger
	switch {
	case broker > 0:
		e, err = newBrokerExchange(address, broker)
	case pipeline > 0:
		e, err = newLoopExchange(address, pipeline)
	default:
		err = errors.New("bench: neither a broker nor a pipeline")
	}
	if err != nil {
		return r, err
	}
	defer e.close()
	if _, err := e.exchange(time.Now().Add(duration / 4)); err != nil {
		return r, err
	}
	pids := []int{os.Getpid(), pid}
	before, err := cpuTimes(pids)
	if err != nil {
		return r, err
	}
	start := time.Now()
	r.Messages, err = e.exchange(start.Add(duration))
	if err != nil {
		return r, err
	}
	r.Elapsed = time.Since(start)
	after, err := cpuTimes(pids)
	if err != nil {
		return r, err
	}
	r.CPU, r.RedisCPU = after[0]-before[0], after[1]-before[1]
	return r, nil
}

// A tally checks the numbers in what comes back. Message n is in channel n modulo
// exchangeRooms and has the number n there, so channels differ in what they expect.
type tally struct {
	channels map[string]int
	next     []uint64
	received uint64
}

func newTally(channels []string) *tally {
	t := &tally{channels: make(map[string]int, len(channels)), next: make([]uint64, len(channels))}
	for i, channel := range channels {
		t.channels[channel], t.next[i] = i, uint64(i)
	}
	return t
}

func exchangeChannels(prefix string) []string {
	channels := make([]string, exchangeRooms)
	for i := range channels {
		channels[i] = prefix + "room-" + strconv.Itoa(i)
	}
	return channels
}

// exchangeForm is what a message of any channel looks like; it is as long as that
// of a client in a room. The number is at its end.
var exchangeForm = ";" + namespace + ";room-0000;" + event + ";0;0;" + strings.Repeat(".", bodySize-numberDigits)

func appendExchanged(b []byte, n uint64) []byte {
	b = append(b, exchangeForm...)
	start := len(b)
	b = append(b, "0000000000"[:numberDigits]...)
	for i := numberDigits - 1; i >= 0; i-- {
		b[start+i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// take checks one message and returns how many have come so far.
func (t *tally) take(channel, message string) (uint64, error) {
	i, known := t.channels[channel]
	if !known {
		return 0, fmt.Errorf("bench: a message in the channel %q", channel)
	}
	digits, found := strings.CutPrefix(message, exchangeForm)
	number, err := strconv.ParseUint(digits, 10, 64)
	if !found || err != nil || len(digits) != numberDigits {
		return 0, fmt.Errorf("bench: unexpected message %.200q", message)
	}
	if number != t.next[i] {
		return 0, fmt.Errorf("bench: message %d came instead of %d in channel %d", number, t.next[i], i)
	}
	t.next[i] += uint64(len(t.next))
	t.received++
	return t.received, nil
}

// exchange runs one of the above beside the Redis s.
func (c *controller) exchange(s *redisServer, arguments ...string) (exchangeReport, error) {
	var r exchangeReport
	duration := c.options.window / 2
	arguments = append([]string{"exchange", "-redis", s.address, "-redis-pid", strconv.Itoa(s.pid()),
		"-duration", duration.String()}, arguments...)
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	p, err := startProcess(c.loadCPU, true, "exchange", exec.Command(self, arguments...))
	if err != nil {
		return r, err
	}
	defer p.stop()
	kill := time.AfterFunc(answerLimit, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	before, err := s.published()
	if err != nil {
		return r, err
	}
	line, err := p.stdout.ReadBytes('\n')
	if err != nil {
		return r, fmt.Errorf("the exchange has ended: %w; it said: %s", err, p.output)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	after, err := s.published()
	if err != nil {
		return r, err
	}
	if after-before < r.Messages {
		return r, fmt.Errorf("bench: %d messages came back, but only %d were published through Redis", r.Messages, after-before)
	}
	return r, nil
}
