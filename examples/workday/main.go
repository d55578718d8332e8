package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/stoa-io/stoa/codec"
	"github.com/stoa-io/stoa/examples/internal/run"
	"github.com/stoa-io/stoa/node"
)

// patience is how long a client may take for an answer.
const patience = time.Minute

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	n, err := node.New(node.Config{})
	if err != nil {
		log.Fatal(err)
	}
	declare(n)
	run.Serve(run.Context(), n, *listen, "/ws")
}

func declare(n *node.Node) {
	ns := n.Namespace("default")
	ns.OnAsk("workday", workday)
	ns.OnEmit("hello", hello)
	// With a typed handler neither side of the answer is bytes: a body that is
	// no such JSON never reaches the handler, and its sender gets an error.
	node.TypedAsk(ns, "days", codec.JSON{}, days)
}

// workday answers an ask: with a body, or with an error whose text is the
// answer.
func workday(ctx context.Context, c *node.NSConn, m *node.Message) ([]byte, error) {
	day, err := time.Parse(time.DateOnly, string(m.Body))
	if err != nil {
		// The client waits for our answer, and we for its answer to our ask.
		// That is no deadlock: answers do not wait for handlers.
		if day, err = askBack(ctx, c, m.Body); err != nil {
			return nil, err
		}
	}
	if isOff(day) {
		return fmt.Appendf(nil, "%s is a %s: sleep in", day.Format(time.DateOnly), day.Weekday()), nil
	}
	return fmt.Appendf(nil, "%s is a %s: there is work to do", day.Format(time.DateOnly), day.Weekday()), nil
}

// askBack gives the client a second chance.
func askBack(ctx context.Context, c *node.NSConn, said []byte) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := c.Ask(ctx, "which day", fmt.Appendf(nil, "%q is no date. Which day, as year-month-day?", said))
	if err != nil {
		// The client's own error, or it has gone, or time is up.
		return time.Time{}, fmt.Errorf("which day you mean remains unclear: %w", err)
	}
	day, err := time.Parse(time.DateOnly, string(answer.Body))
	if err != nil {
		return time.Time{}, errors.New("that is no date either")
	}
	return day, nil
}

// hello handles an emit: it has no answer, but the handler may ask and emit.
func hello(ctx context.Context, c *node.NSConn, _ *node.Message) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	name, err := c.Ask(ctx, "name", []byte("who is there?"))
	if err != nil {
		return err
	}
	return c.Emit("welcome", fmt.Appendf(nil, "Welcome, %s!", name.Body))
}

// date is a day in JSON.
type date struct{ day time.Time }

// UnmarshalText makes "2026-07-14" a date; the error is sent to the client.
func (d *date) UnmarshalText(text []byte) (err error) {
	d.day, err = time.Parse(time.DateOnly, string(text))
	return err
}

// period is a question about some days, the first and the last one included.
type period struct {
	From date `json:"from"`
	To   date `json:"to"`
}

// count is the answer.
type count struct {
	Work int `json:"work"`
	Off  int `json:"off"`
}

const longest = 366 * 24 * time.Hour

func days(_ context.Context, _ *node.NSConn, p period) (count, error) {
	if length := p.To.day.Sub(p.From.day); length < 0 || length > longest {
		return count{}, errors.New("want a period of at most a year")
	}
	var c count
	for day := p.From.day; !day.After(p.To.day); day = day.AddDate(0, 0, 1) {
		if isOff(day) {
			c.Off++
		} else {
			c.Work++
		}
	}
	return c, nil
}

func isOff(day time.Time) bool {
	return day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
}
