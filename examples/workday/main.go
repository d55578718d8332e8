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
	ns := n.Namespace("default", node.NamespaceOptions{})
	ns.OnAsk("workday", workday)
	ns.OnEmit("hello", hello)
	// A typed handler receives and returns Go values. An ask whose body the
	// codec cannot decode is answered with an error, and the handler is not
	// called.
	node.OnAsk(ns, "days", codec.JSON{}, days)
}

// workday answers an ask with a body, or with the text of an error.
func workday(ctx context.Context, r *node.AskRequest) error {
	day, err := time.Parse(time.DateOnly, string(r.Body))
	if err != nil {
		// The client waits for this handler's answer, and the handler for the
		// client's. That is no deadlock: answers are not queued for handlers.
		if day, err = askBack(ctx, r.NSConn, r.Body); err != nil {
			return err
		}
	}
	advice := "there is work to do"
	if isOff(day) {
		advice = "sleep in"
	}
	r.Reply(fmt.Appendf(nil, "%s is a %s: %s", day.Format(time.DateOnly), day.Weekday(), advice))
	return nil
}

// askBack gives the client a second chance.
func askBack(ctx context.Context, c *node.NSConn, said []byte) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := c.Ask(ctx, "which day", fmt.Appendf(nil, "%q is no date. Which day, as year-month-day?", said))
	if err != nil {
		// The client answered with an error or closed, or the ask timed out.
		return time.Time{}, fmt.Errorf("which day you mean remains unclear: %w", err)
	}
	day, err := time.Parse(time.DateOnly, string(answer.Body))
	if err != nil {
		return time.Time{}, errors.New("that is no date either")
	}
	return day, nil
}

// hello handles an emit. An emit has no answer, but its handler may ask and
// emit.
func hello(ctx context.Context, e *node.EmitEvent) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	name, err := e.NSConn.Ask(ctx, "name", []byte("your name?"))
	if err != nil {
		return err
	}
	return e.NSConn.Emit("welcome", fmt.Appendf(nil, "Welcome, %s!", name.Body))
}

// date is a day in JSON.
type date struct{ day time.Time }

// UnmarshalText parses a date such as "2026-07-14". The client receives the
// error.
func (d *date) UnmarshalText(text []byte) (err error) {
	d.day, err = time.Parse(time.DateOnly, string(text))
	return err
}

// period is the body of the ask: the first and the last day, both included.
type period struct {
	From date `json:"from"`
	To   date `json:"to"`
}

// count is the body of the answer.
type count struct {
	Work int `json:"work"`
	Off  int `json:"off"`
}

const longest = 366 * 24 * time.Hour

func days(_ context.Context, _ *node.AskRequest, p period) (count, error) {
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
