package hub

import (
	"slices"

	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// responder receives a client's answer to an ask from this node, exactly once:
// an answer, an error, or wire.ErrClosed when the connection has closed.
type responder interface {
	respond(c *Client, a *session.Answer)
}

// openAsk is an ask to the client of a connection.
type openAsk struct {
	id        uint64 // of the session
	deadline  uint32 // the loop's clock
	responder responder
}

// relayedAsk is an ask of the client to others.
type relayedAsk struct {
	id       uint64 // of the call
	deadline uint32 // the loop's clock
}

// asks are the asks of one connection, in both directions.
type asks struct {
	open    []openAsk // of this node, to the client
	relayed []relayedAsk
}

func (c *Client) needAsks() *asks {
	rare := c.needRare()
	if rare.asks == nil {
		rare.asks = new(asks)
		c.WantTick(true)
	}
	return rare.asks
}

func (c *Client) openAsks() *asks {
	if c.rare == nil {
		return nil
	}
	return c.rare.asks
}

func (c *Client) tidyAsks() {
	if a := c.openAsks(); a != nil && len(a.open) == 0 && len(a.relayed) == 0 {
		c.rare.asks = nil
		c.WantTick(false)
	}
}

// ask lets the session ask the client, for at most timeout milliseconds, and
// remembers who receives the answer.
func (c *Client) ask(to responder, timeout uint32, send func() (uint64, error)) {
	s := c.Shard()
	s.responder = to
	id, err := send()
	answered := s.responder == nil // by the session itself, without a frame
	s.responder = nil
	switch {
	case err != nil:
		to.respond(c, &session.Answer{Err: err})
	case !answered:
		asks := c.needAsks()
		asks.open = append(asks.open, openAsk{id: id, deadline: s.loop.Now() + timeout, responder: to})
	}
}

// Answered implements session.Driver.
func (c *Client) Answered(a *session.Answer) {
	if asks := c.openAsks(); asks != nil {
		isIt := func(open openAsk) bool { return open.id == a.ID }
		if i := slices.IndexFunc(asks.open, isIt); i >= 0 {
			to := asks.open[i].responder
			asks.open = slices.Delete(asks.open, i, i+1)
			c.tidyAsks()
			to.respond(c, a)
			return
		}
	}
	s := c.Shard()
	if to := s.responder; to != nil {
		s.responder = nil
		to.respond(c, a)
	}
}

// expireAsks ends the asks whose time is up.
func (c *Client) expireAsks() {
	asks := c.openAsks()
	if asks == nil {
		return
	}
	s := c.Shard()
	for _, open := range slices.Clone(asks.open) {
		if !engine.Before(s.loop.Now(), open.deadline) {
			c.session.Cancel(open.id, wire.ErrTimeout)
		}
	}
	if asks = c.openAsks(); asks == nil {
		return
	}
	for _, relayed := range asks.relayed {
		if !engine.Before(s.loop.Now(), relayed.deadline) {
			s.hub.peer.Cancel(relayed.id, wire.ErrTimeout) // reaches the client through the inbox
		}
	}
}

// abandonAsks drops the client's asks to others: it is gone.
func (c *Client) abandonAsks() {
	asks := c.openAsks()
	if asks == nil {
		return
	}
	for _, relayed := range asks.relayed {
		c.Shard().hub.peer.Abandon(relayed.id)
	}
	c.rare.asks = nil
	c.WantTick(false)
}
