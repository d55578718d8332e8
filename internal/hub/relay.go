package hub

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/jsonfield"
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

// History is how much of the history of the rooms in a namespace is kept.
type History struct {
	cluster.Retention
	// OnJoin is how many of the newest messages every client receives that
	// joins, if it has no position.
	OnJoin int
	// Window is for how long the ID of a confirmed emit is remembered.
	Window time.Duration
	// LatestBy is the field of the body whose value is the key of a message, if
	// Retention.Keys is not zero. Such a client also receives the newest
	// message of each key.
	LatestBy string
}

// Keep makes a message part of the history.
func (k *History) Keep(env *cluster.Envelope) {
	env.Keep = &k.Retention
	if k.Keys > 0 {
		m, _ := wire.Parse(env.Payload, env.Binary) // it has been checked
		env.Key = jsonfield.Find(m.Body, k.LatestBy)
	}
}

// greets reports whether clients without a position receive messages when they
// join.
func (k *History) greets() bool { return k.OnJoin > 0 || k.Keys > 0 }

// RelayChannel returns the channel to which an event is relayed. The connection
// is not read while that channel's partition is congested, unless the event is
// volatile.
func (c *Client) RelayChannel(e *session.Event) string {
	ns := e.Namespace.(*Namespace)
	channel, partition := ns.channel, ns.partition
	if in, ok := e.Room.(*room); ok {
		channel, partition = in.channel, in.partition
	}
	if !e.Volatile {
		c.Feed(partition)
	}
	return channel
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
	*env = cluster.Envelope{Binary: e.Message.Binary, Origin: c.ID(), Volatile: e.Volatile, Payload: payload}
	if kept := e.Namespace.(*Namespace).history; kept != nil && e.Room != nil && !e.Volatile {
		kept.Keep(env)
		env.User = c.User()
	}
	err := c.send(channel, env)
	env.Payload, env.User, env.Key = nil, "", ""
	switch {
	case err == ErrVolatileDropped:
		return MessageDropped // which is no refusal
	case err != nil:
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
	h := c.Shard().hub
	if env.Volatile && (h.isCongested(channel) || c.wouldPause(len(env.Payload))) {
		return h.dropVolatile()
	}
	return h.publish(channel, env, c.charge(len(env.Payload)))
}

// ErrVolatileDropped reports a volatile message that was not published because
// it would have waited, or made its sender wait.
var ErrVolatileDropped = errors.New("hub: volatile message dropped")

// dropVolatile counts such a message.
func (h *Hub) dropVolatile() error {
	h.volatileDropped.Add(1)
	return ErrVolatileDropped
}

// publish publishes a message, with a marker if that is not nil.
func (h *Hub) publish(channel string, env *cluster.Envelope, m *marker) (err error) {
	if m == nil {
		err = h.config.Broker.Publish(channel, env)
	} else {
		err = m.publish(channel, env)
	}
	if env.Volatile && errors.Is(err, cluster.ErrQueueFull) {
		return h.dropVolatile()
	}
	return err
}

// Publish publishes a message of the application. It waits while the channel's
// partition is congested, until ctx ends or closed is closed. A volatile
// message is dropped instead, without an error.
func (h *Hub) Publish(ctx context.Context, closed <-chan struct{}, channel string, env *cluster.Envelope) error {
	if !env.Volatile {
		if err := h.AwaitUncongested(ctx, closed, channel); err != nil {
			return err
		}
	} else if h.isCongested(channel) {
		_ = h.dropVolatile() // counts it
		return nil
	}
	if err := h.publish(channel, env, nil); err != ErrVolatileDropped {
		return err
	}
	return nil
}

// maxConfirming is how many confirmed emits of one client may be unanswered.
const maxConfirming = 64

// Confirms reports whether emits in the rooms of a namespace can be confirmed:
// they are kept, by a broker that publishes them once.
func (h *Hub) Confirms(kept *History) bool { return h.once != nil && kept != nil }

// ConfirmedEmit is an emit whose client waits for its position. It answers the
// client once, by Publish or Refuse.
type ConfirmedEmit struct {
	// Immutable.
	client  *Client
	shard   *Shard
	asked   wire.Message // as received, without the body
	channel string
	id      string // scoped, for the broker
	origin  string
	user    string
	kept    *History

	// The outcome; owned by the publisher, then by the loop.
	position cluster.Position
	err      error
}

// Confirm opens a confirmed emit, in a namespace that Confirms. The result is
// nil if the client has too many; it is answered then. The connection is not
// read while the partition is congested.
func (c *Client) Confirm(e *session.Event) *ConfirmedEmit {
	s := c.Shard()
	if c.needRare().confirming == maxConfirming {
		s.stats.LimitsExceeded[LimitAsks]++
		c.session.ReplyError(e.Message, wire.ErrUnavailable.Error())
		return nil
	}
	c.rare().confirming++
	asked := *e.Message
	asked.Body = nil
	return &ConfirmedEmit{
		client: c, shard: s, asked: asked.Clone(), channel: c.RelayChannel(e), id: onceID(c.User(), e.Publish.ID),
		origin: c.ID(), user: c.User(), kept: e.Namespace.(*Namespace).history,
	}
}

// onceID scopes the ID of a client's message: no other user can have it.
// The IDs of connections without a user share a scope, as such a client has
// another connection when it tries again.
func onceID(user string, id []byte) string {
	return strconv.Itoa(len(user)) + ":" + user + string(id)
}

// AppOnceID scopes the ID of a message of the application.
func AppOnceID(id string) string { return "app:" + id }

// Confirmed publishes a confirmed emit without a detour over the application's
// tasks. It belongs to the loop.
func (c *Client) Confirmed(o *ConfirmedEmit, e *session.Event) MessageResult {
	s := c.Shard()
	s.payload = wire.Append(s.payload[:0], &wire.Message{
		Namespace: e.Message.Namespace, Room: e.Message.Room, Event: e.Publish.Event, Body: e.Publish.Body,
	})
	o.publish(c.charge(len(s.payload)), s.payload, e.Message.Binary)
	return MessageRelayed
}

// Publish is Confirmed for a task of the connection, on its goroutine.
func (o *ConfirmedEmit) Publish(h *Handle, payload []byte, binary bool) {
	o.publish(h.charge(len(payload)), payload, binary)
}

func (o *ConfirmedEmit) publish(m *marker, payload []byte, binary bool) {
	env := &cluster.Envelope{
		Binary: binary, Origin: o.origin, User: o.user, Payload: payload,
	}
	o.kept.Keep(env)
	if m != nil {
		m.begin(o.channel)
	}
	o.shard.hub.PublishOnce(o.channel, env, o.id, o.kept.Window, func(p cluster.Position, err error) {
		if m != nil {
			m.published(0, err)
		}
		o.position, o.err = p, confirmError(err)
		o.shard.Submit(o)
	})
}

// confirmError is the error for a client whose emit is not confirmed.
func confirmError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cluster.ErrIDReused):
		return wire.ErrIDReused
	case errors.Is(err, cluster.ErrTooLarge):
		return wire.ErrTooBig
	}
	return wire.ErrUnavailable
}

// Refuse answers that the application refuses the emit. It runs on any
// goroutine.
func (o *ConfirmedEmit) Refuse(err error) {
	o.err = err
	o.shard.Submit(o)
}

// Run implements Task: it answers the client, unless that is gone.
func (o *ConfirmedEmit) Run(*Shard) {
	c := o.client
	if !c.IsOpen() {
		return
	}
	c.rare().confirming--
	if o.err != nil {
		c.session.ReplyError(&o.asked, o.err.Error())
		return
	}
	text, _ := o.position.AppendText(nil) // never fails
	c.session.Reply(&o.asked, text)
}

// PublishOnce publishes a message once, by its scoped ID, and counts it. The
// broker must be a cluster.OncePublisher; see Confirms. The rules for the
// envelope and done are those of that interface.
func (h *Hub) PublishOnce(channel string, env *cluster.Envelope, id string, window time.Duration, done func(cluster.Position, error)) {
	h.once.PublishOnce(channel, env, cluster.Once{ID: id, Window: window}, func(p cluster.Position, err error) {
		if err == nil {
			h.confirmed.Add(1)
		} else {
			h.unconfirmed.Add(1)
			if !errors.Is(err, cluster.ErrClosed) {
				h.log.Debug("message not confirmed", logError, err)
			}
		}
		done(p, err)
	})
}

// ConfirmStats returns how many messages PublishOnce has confirmed, copies of
// confirmed ones included, and how many it has not.
func (h *Hub) ConfirmStats() (confirmed, unconfirmed uint64) {
	return h.confirmed.Load(), h.unconfirmed.Load()
}
