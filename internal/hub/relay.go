package hub

import (
	"errors"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Relay passes an emit or an ask on to the other members of its room, or an
// emit without a room to the namespace's other connections.
func (c *Client) Relay(e *session.Event) MessageResult {
	if len(e.Message.Token) > 0 {
		return c.relayAsk(e)
	}
	return c.publish(c.RelayChannel(e), e)
}

// RelayChannel returns the channel to which an event is relayed. The connection
// is not read while that channel's partition is congested.
func (c *Client) RelayChannel(e *session.Event) string {
	if in, ok := e.Room.(*room); ok {
		c.Feed(in.partition)
		return in.channel
	}
	ns := e.Namespace.(*Namespace)
	c.Feed(ns.partition)
	return ns.channel
}

// publish publishes an emit for all other members of the channel.
func (c *Client) publish(channel string, e *session.Event) MessageResult {
	s := c.Shard()
	payload := e.Payload
	if !e.Message.Verbatim {
		s.payload = wire.Append(s.payload[:0], &wire.Message{
			Namespace: e.Message.Namespace,
			Room:      e.Message.Room,
			Event:     e.Message.Event,
			Body:      e.Message.Body,
		})
		payload = s.payload
	}
	env := &s.envelope
	*env = cluster.Envelope{Binary: e.Message.Binary, Origin: c.ID(), Payload: payload}
	if kept := e.Namespace.(*Namespace).history; kept != nil && e.Room != nil {
		env.Keep, env.User = &kept.Retention, c.User()
	}
	err := c.send(channel, env)
	env.Payload, env.User = nil, ""
	if err != nil {
		if !errors.Is(err, cluster.ErrClosed) {
			s.hub.log.Debug("message not published", logConn, c.ID(), logError, err)
		}
		c.session.ReplyError(e.Message, wire.ErrUnavailable.Error())
		return MessageDropped
	}
	return MessageRelayed
}

// send publishes a message of the client, and counts it.
func (c *Client) send(channel string, env *cluster.Envelope) error {
	m := c.charge(len(env.Payload))
	if m == nil {
		return c.Shard().hub.config.Broker.Publish(channel, env)
	}
	return m.publish(channel, env)
}
