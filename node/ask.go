package node

import (
	"slices"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// asker gets a client's answer to something that this node asked it, exactly
// once: an answer, an error, or wire.ErrClosed when the connection has ended.
type asker interface {
	answer(c *conn, a *session.Answer)
}

// openAsk is something that the client of a connection has been asked.
type openAsk struct {
	id       uint64 // of the session
	deadline uint32 // the loop's clock
	asker    asker
}

// openAsks are the asks around one connection, which has them only while there is
// one.
type openAsks struct {
	list    []openAsk // of this node, to the client
	relayed []relayedAsk
}

// relayedAsk is something that the client has asked others.
type relayedAsk struct {
	id       uint64 // of the question
	deadline uint32 // the loop's clock
}

func (c *conn) needAsks() *openAsks {
	if c.asks == nil {
		c.asks = new(openAsks)
	}
	return c.asks
}

func (c *conn) tidyAsks() {
	if c.asks != nil && len(c.asks.list) == 0 && len(c.asks.relayed) == 0 {
		c.asks = nil
	}
}

// ask lets the session ask the client, for at most timeout milliseconds, and
// remembers who wants the answer.
func (c *conn) ask(who asker, timeout uint32, question func() (uint64, error)) {
	l := c.loop
	l.asking = who
	id, err := question()
	answered := l.asking == nil // by the session itself, without a frame
	l.asking = nil
	switch {
	case err != nil:
		who.answer(c, &session.Answer{Err: err})
	case !answered:
		asks := c.needAsks()
		asks.list = append(asks.list, openAsk{id: id, deadline: l.now + timeout, asker: who})
	}
}

// Answered implements session.Driver.
func (c *conn) Answered(a *session.Answer) {
	if c.asks != nil {
		isIt := func(open openAsk) bool { return open.id == a.ID }
		if i := slices.IndexFunc(c.asks.list, isIt); i >= 0 {
			who := c.asks.list[i].asker
			c.asks.list = slices.Delete(c.asks.list, i, i+1)
			c.tidyAsks()
			who.answer(c, a)
			return
		}
	}
	if who := c.loop.asking; who != nil {
		c.loop.asking = nil
		who.answer(c, a)
	}
}

// expireAsks ends the asks whose time is up.
func (c *conn) expireAsks() {
	if c.asks == nil {
		return
	}
	for _, open := range slices.Clone(c.asks.list) {
		if !before(c.loop.now, open.deadline) {
			c.session.Cancel(open.id, wire.ErrTimeout)
		}
	}
	if c.asks == nil {
		return
	}
	for _, relayed := range c.asks.relayed {
		if before(c.loop.now, relayed.deadline) {
			continue
		}
		if open := c.loop.node.questions.take(relayed.id); open != nil {
			open.settle(Answers{}, wire.ErrTimeout) // reaches the client through the inbox
		}
	}
}

// forgetAsks gives up what the client has asked others: it has gone.
func (c *conn) forgetAsks() {
	if c.asks == nil {
		return
	}
	for _, relayed := range c.asks.relayed {
		c.loop.node.questions.take(relayed.id)
	}
	c.asks = nil
}
