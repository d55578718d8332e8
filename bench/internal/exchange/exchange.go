//go:build linux

package exchange

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/stoa-io/stoa/internal/load/procstat"
)

const (
	// Rooms is the number of channels. Messages go to each in turn.
	Rooms = 5000

	startLimit = 10 * time.Second // for connecting and subscribing
	closeLimit = 3 * time.Second
)

// A Report is the outcome of one measurement.
type Report struct {
	Error    string `json:",omitempty"`
	Messages uint64
	Elapsed  time.Duration
	CPU      time.Duration // of this process
	RedisCPU time.Duration
}

// An exchanger publishes messages through Redis and receives them.
type exchanger interface {
	// exchange publishes until the deadline and returns when all messages have
	// come back.
	exchange(deadline time.Time) (messages uint64, err error)
	close()
}

// Run measures once and prints a Report as JSON. A short run that is not
// counted comes first.
func Run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("exchange", flag.ContinueOnError)
	address := flags.String("redis", "", "host:port of the Redis server")
	pid := flags.Int("redis-pid", 0, "process ID of the Redis server")
	broker := flags.Int("broker", 0, "use Stoa's broker with this many outstanding messages")
	pipeline := flags.Int("pipeline", 0, "use go-redis alone, with pipelines of this many messages")
	duration := flags.Duration("duration", time.Second, "how long to publish")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r, err := measure(*address, *pid, *broker, *pipeline, *duration)
	if err != nil {
		r.Error = err.Error()
	}
	return json.NewEncoder(stdout).Encode(r)
}

func measure(address string, pid, broker, pipeline int, duration time.Duration) (r Report, err error) {
	var e exchanger
	switch {
	case broker > 0:
		e, err = newBrokerExchange(address, broker)
	case pipeline > 0:
		e, err = newLoopExchange(address, pipeline)
	default:
		err = errors.New("exchange: neither a broker nor a pipeline")
	}
	if err != nil {
		return r, err
	}
	defer e.close()
	if _, err := e.exchange(time.Now().Add(duration / 4)); err != nil {
		return r, err
	}
	pids := []int{os.Getpid(), pid}
	before, err := procstat.CPUTimes(pids)
	if err != nil {
		return r, err
	}
	start := time.Now()
	r.Messages, err = e.exchange(start.Add(duration))
	if err != nil {
		return r, err
	}
	r.Elapsed = time.Since(start)
	after, err := procstat.CPUTimes(pids)
	if err != nil {
		return r, err
	}
	r.CPU, r.RedisCPU = after[0]-before[0], after[1]-before[1]
	return r, nil
}

func roomNames(prefix string) []string {
	names := make([]string, Rooms)
	for i := range names {
		names[i] = prefix + "room-" + strconv.Itoa(i)
	}
	return names
}
