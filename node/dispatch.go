package node

import (
	"context"
	"errors"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Event implements session.Driver: who deals with what a client emits or asks is
// decided by its event, in this order: the program's handler for it, the relay if
// the namespace has one for such a message, the program's handler for any event,
// nobody.
func (c *conn) Event(e *session.Event) {
	if e.Native {
		c.onNative(e)
		return
	}
	result := &c.loop.stats.MessagesIn[frameType(e.Message.Binary)]
	ns := e.Namespace.(*namespace)
	if len(e.Message.Token) > 0 {
		result[c.onAsk(ns, e)]++
	} else {
		result[c.onEmit(ns, e)]++
	}
}

func (c *conn) onEmit(ns *namespace, e *session.Event) MessageResult {
	h := &ns.declared.handlers
	if found, ok := h.emits[string(e.Message.Event)]; ok {
		c.handEmit(ns, e, found.event, found.handler)
		return MessageHandled
	}
	options := &ns.declared.options
	switch {
	case options.Relay && (e.Room != nil || options.Broadcast):
		return c.relay(ns, e)
	case h.anyEmit != nil:
		c.handEmit(ns, e, string(e.Message.Event), h.anyEmit)
		return MessageHandled
	case options.Relay:
		return MessageRefused
	}
	return MessageUnhandled
}

func (c *conn) onAsk(ns *namespace, e *session.Event) MessageResult {
	h := &ns.declared.handlers
	if found, ok := h.asks[string(e.Message.Event)]; ok {
		c.handAsk(ns, e, found.event, found.handler)
		return MessageHandled
	}
	switch {
	case ns.declared.options.Asks && e.Room != nil:
		return c.relay(ns, e)
	case h.anyAsk != nil:
		c.handAsk(ns, e, string(e.Message.Event), h.anyAsk)
		return MessageHandled
	}
	c.session.ReplyError(e.Message, wire.ErrUnhandled.Error())
	return MessageUnhandled
}

func (c *conn) handEmit(ns *namespace, e *session.Event, event string, h EmitHandler) {
	w := &emitWork{to: c.handled().member(ns.name), handler: h}
	w.message = incoming(ns, e, event, append([]byte(nil), e.Message.Body...))
	w.kind, w.namespace, w.event, w.Size = HandlerEmit, ns.declared, event, len(w.message.Body)
	c.hand(w)
}

func (c *conn) handAsk(ns *namespace, e *session.Event, event string, h AskHandler) {
	w := &askWork{to: c.handled().member(ns.name), handler: h, asked: e.Message.Clone()}
	w.message = incoming(ns, e, event, w.asked.Body)
	w.kind, w.namespace, w.event, w.Size = HandlerAsk, ns.declared, event, len(w.message.Body)
	c.hand(w)
}

// replied queues the answer of the program to an ask.
func (c *conn) replied(frame []byte) {
	if c.state == connOpen {
		c.loop.stats.MessagesOut++
		c.enqueue(frame, 1)
	}
}

// emitted queues a frame of the program. What it is for may be over by now.
func (c *conn) emitted(e *emission) {
	if c.state != connOpen || e.ns != nil && e.ns.over || e.room != nil && e.room.over {
		return
	}
	c.loop.stats.MessagesOut++
	c.enqueue(e.frame, 1)
}

// onNative handles a message that is not one of the protocol.
func (c *conn) onNative(e *session.Event) {
	result := &c.loop.stats.MessagesIn[frameType(e.Message.Binary)]
	h := c.loop.node.on.native
	if h == nil {
		result[MessageUnhandled]++
		return
	}
	result[MessageHandled]++
	made, binary := c.handled(), e.Message.Binary
	payload := append([]byte(nil), e.Payload...)
	w := &notice{handlerCall{kind: HandlerNative}, func(ctx context.Context) error { return h(ctx, made, payload, binary) }}
	w.Size = len(payload)
	c.hand(w)
}

// relay passes a message on to others: at once if nobody wants to see it before
// and nothing earlier of this connection is being handled, else as a task.
func (c *conn) relay(ns *namespace, e *session.Event) MessageResult {
	event, h := "", RelayHandler(nil)
	if all := &ns.declared.handlers; all.any {
		if found, ok := all.relays[string(e.Message.Event)]; ok {
			event, h = found.event, found.handler
		} else if all.anyRelay != nil {
			event, h = string(e.Message.Event), all.anyRelay
		}
	}
	ask := len(e.Message.Token) > 0
	if h == nil && !c.working() {
		if ask {
			return c.relayAsk(e)
		}
		channel, partition := ns.channelOf(e)
		return c.publish(channel, partition, e)
	}
	if h == nil {
		event = string(e.Message.Event)
	}
	if ask {
		return c.relayAskLater(ns, e, event, h)
	}
	c.relayLater(ns, e, event, h)
	return MessageRelayed
}

// channelOf is where an emit is relayed to.
func (ns *namespace) channelOf(e *session.Event) (channel string, partition partitions) {
	if in, ok := e.Room.(*room); ok {
		return in.channel, in.partition
	}
	return ns.channel, ns.partition
}

// relayLater publishes an emit as a task: after the connection's earlier messages
// and as the handler leaves it.
func (c *conn) relayLater(ns *namespace, e *session.Event, event string, h RelayHandler) {
	channel, partition := ns.channelOf(e)
	c.published |= partition
	made := c.handled()
	w := newRelayWork(made, ns, e, event, append([]byte(nil), e.Message.Body...), h)
	w.pass = func(m *Message) {
		err := made.loop.node.broker.Publish(channel, &cluster.Envelope{Binary: m.Binary, Origin: made.ID(), Payload: m.payload()})
		if err != nil && !errors.Is(err, cluster.ErrClosed) {
			made.loop.handlers.dropped[frameType(m.Binary)].Add(1)
		}
	}
	c.hand(w)
}
