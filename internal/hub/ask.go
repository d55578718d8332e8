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
	if c.rare() == nil {
		return nil
	}
	return c.rare().asks
}

func (c *Client) tidyAsks() {
	if a := c.openAsks(); a != nil && len(a.open) == 0 && len(a.relayed) == 0 {
		c.rare().asks = nil
		c.tidyTick()
	}
}

// ask lets the session ask the client, for at most timeout milliseconds, and
// registers the receiver of the answer. It returns the ask's ID in the session,
// 0 if it has ended already.
func (c *Client) ask(to responder, timeout uint32, send func() (uint64, error)) uint64 {
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
		s.hub.openAsks.Add(1)
		return id
	}
	return 0
}

// maxOpenAsks bounds the asks to the clients of a node, so that rooms of silent
// members cannot take its memory: an entry costs about 100 bytes.
const maxOpenAsks = 1 << 18

// mayAsk reports whether the client and the node may have one more open ask of
// another client. A client that does not answer costs a bounded number of
// entries.
func (c *Client) mayAsk() bool {
	s := c.Shard()
	if s.hub.openAsks.Load() >= maxOpenAsks {
		return false
	}
	asks, limit := c.openAsks(), s.limits().AsksToClient
	return limit <= 0 || asks == nil || len(asks.open) < limit
}

// takeAsk removes an open ask and returns its responder, nil if there is none.
// Most asks end in the order in which they were sent, so the first one is
// removed without moving the others.
func (c *Client) takeAsk(id uint64) responder {
	asks := c.openAsks()
	if asks == nil {
		return nil
	}
	i := slices.IndexFunc(asks.open, func(open openAsk) bool { return open.id == id })
	if i < 0 {
		return nil
	}
	to := asks.open[i].responder
	if i == 0 {
		asks.open[0] = openAsk{}
		asks.open = asks.open[1:]
	} else {
		asks.open = slices.Delete(asks.open, i, i+1)
	}
	c.Shard().hub.openAsks.Add(-1)
	c.tidyAsks()
	return to
}

// Answered implements session.Driver.
func (c *Client) Answered(a *session.Answer) {
	if to := c.takeAsk(a.ID); to != nil {
		to.respond(c, a)
		return
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
	late := func(open openAsk) bool { return !engine.Before(s.loop.Now(), open.deadline) }
	if slices.ContainsFunc(asks.open, late) {
		for _, open := range slices.Clone(asks.open) {
			if late(open) {
				c.session.Cancel(open.id, wire.ErrTimeout)
			}
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
	c.rare().asks = nil
	c.tidyTick()
}
