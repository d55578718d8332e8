//go:build linux

package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime/debug"

	"github.com/stoa-io/stoa/internal/load/rawnet"
)

// Serve executes the commands that it reads from in, one JSON object per line,
// and writes one report for each. Between commands the client keeps answering
// pings. Serve returns at the end of in.
//
// Serve needs the process for itself: it disables the garbage collector, raises
// the limit of open files, and waits without telling Go's scheduler.
func Serve(in *os.File, out io.Writer) error {
	debug.SetGCPercent(-1)
	if err := rawnet.RaiseFileLimit(); err != nil {
		return err
	}
	c, err := newClient(true)
	if err != nil {
		return err
	}
	defer c.Close()
	c.stop = int(in.Fd())
	if err := c.poller.Add(c.stop); err != nil {
		return err
	}
	lines := bufio.NewReader(in)
	encoder := json.NewEncoder(out)
	for {
		c.stopping = false
		for !c.stopping {
			if err := c.turn(-1); err != nil {
				return errors.Join(err, encoder.Encode(Report{Error: err.Error()}))
			}
		}
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var cmd Command
		if err := json.Unmarshal(line, &cmd); err != nil {
			return err
		}
		r, err := c.Do(cmd)
		if err != nil {
			r.Error = err.Error()
		}
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
}
