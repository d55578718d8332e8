package node

import (
	"context"
	"crypto/rand"
	"unicode/utf8"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/rpc"
	"github.com/stoa-io/stoa/wire"
)

// EmitOptions configures an emit to many connections.
type EmitOptions struct {
	// Except are the IDs of connections that do not receive the message.
	Except []string
}

// Emit sends a message to the members of a room, on every node. A room without
// a name is an ordinary room. It returns as soon as the broker has accepted the
// message. While the node is congested it blocks until it is not, or ctx ends:
// so an application that emits in a loop is slowed down as clients are. A
// message with Volatile never blocks, and is dropped then.
func (n *Node) Emit(ctx context.Context, m Message, o EmitOptions) error {
	return n.emit(ctx, cluster.RoomChannel(m.Namespace, m.Room), &m, o, n.history(m.Namespace))
}

// EmitNamespace sends a message to all connections of a namespace, on every
// node; see Emit. The message names no room, else the error is ErrRoom.
func (n *Node) EmitNamespace(ctx context.Context, m Message, o EmitOptions) error {
	if m.Room != "" {
		return ErrRoom
	}
	return n.emit(ctx, cluster.NamespaceChannel(m.Namespace), &m, o, nil)
}

func (n *Node) emit(ctx context.Context, channel string, m *Message, o EmitOptions, kept *hub.History) error {
	if err := n.emittable(m); err != nil {
		return err
	}
	env := &cluster.Envelope{Binary: m.Binary, Except: o.Except, Volatile: m.Volatile, Payload: m.payload()}
	if kept != nil && !m.Volatile {
		kept.Keep(env)
	}
	return n.hub.Publish(ctx, n.handling.Done(), channel, env)
}

// emittable returns an error if the message cannot be published. It needs no
// loop: handlers that Shutdown waits for may emit to the end.
func (n *Node) emittable(m *Message) error {
	if err := n.usable(); err != nil && (err != ErrClosed || n.handling.Err() != nil) {
		return err
	}
	return m.check()
}

// MaxPublishID is the length of the longest PublishOptions.ID, in bytes.
const MaxPublishID = 256

// PublishOptions configures a confirmed emit.
type PublishOptions struct {
	EmitOptions
	// ID makes the message one that is published once, however often Publish is
	// called with it: such as that of an order. The IDs of the application are
	// none of clients, and hold in one room. Empty: no call is a copy.
	ID string
}

// Publish is Emit to the members of a room whose messages are kept, and returns
// the position of the message when the broker has stored it. If a message with
// the same ID was published in HistoryOptions.DuplicateWindow, by any node,
// nothing is published again, and the position is that of the first one.
//
// Nothing is published with the errors of Emit, with ErrNoHistory for a room
// without a history or a broker that is no cluster.OncePublisher, with
// ErrPublishID, with cluster.ErrIDReused if the ID is that of another message,
// and with cluster.ErrTooLarge. After any other error, such as that of ctx or
// cluster.ErrExpired, the message may have been published or not: call again
// with the same ID.
func (n *Node) Publish(ctx context.Context, m Message, o PublishOptions) (Position, error) {
	channel, kept := cluster.RoomChannel(m.Namespace, m.Room), n.history(m.Namespace)
	switch err := n.emittable(&m); {
	case err != nil:
		return "", err
	case !n.hub.Confirms(kept):
		return "", ErrNoHistory
	case len(o.ID) > MaxPublishID:
		return "", ErrPublishID
	case o.ID == "":
		o.ID = rand.Text()
	}
	if err := n.hub.AwaitUncongested(ctx, n.handling.Done(), channel); err != nil {
		return "", err
	}
	type outcome struct {
		position cluster.Position
		err      error
	}
	outcomes := make(chan outcome, 1)
	env := &cluster.Envelope{Binary: m.Binary, Except: o.Except, Payload: m.payload()}
	kept.Keep(env)
	n.hub.PublishOnce(channel, env, hub.AppOnceID(o.ID), kept.Window, func(p cluster.Position, err error) {
		outcomes <- outcome{p, err}
	})
	select {
	case out := <-outcomes:
		return Position(out.position.String()), out.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// EmitTo sends a message to one connection of the cluster. It waits until the
// connection's node has queued it. The error is wire.ErrGone if the connection
// or its node is gone, wire.ErrBadNamespace or wire.ErrBadRoom if the
// connection is not in it, or that of ctx.
func (n *Node) EmitTo(ctx context.Context, connID string, m Message) error {
	return n.request(ctx, rpc.OpEmit, connID, &m)
}

// Ask asks one connection of the cluster and waits for its answer. The error is
// the connection's own, a wire.RemoteError or wire.ErrUnhandled; wire.ErrGone
// if it or its node is gone; or that of ctx. A client cannot answer with
// another error of package wire: see wire.ClientError. Without a deadline of
// ctx it waits for Timeouts.Ask, and then returns wire.ErrTimeout.
func (n *Node) Ask(ctx context.Context, connID string, m Message) (Answer, error) {
	if err := n.ready(&m); err != nil {
		return Answer{}, err
	}
	return answerOf(n.hub.Peer().Call(ctx, &rpc.Request{Op: rpc.OpAsk, Target: connID, Binary: m.Binary, Payload: m.payload()}))
}

// Connect asks a connection of the cluster to connect to a namespace. The
// errors are those of Ask.
func (n *Node) Connect(ctx context.Context, connID, namespace string) error {
	return n.request(ctx, rpc.OpConnect, connID, &Message{Namespace: namespace})
}

// Disconnect asks a connection of the cluster to disconnect from a namespace.
// The errors are those of Ask.
func (n *Node) Disconnect(ctx context.Context, connID, namespace string) error {
	return n.request(ctx, rpc.OpDisconnect, connID, &Message{Namespace: namespace})
}

// Join asks a connection of the cluster to join a room of a namespace that it
// is connected to. After it returned nil the connection receives everything
// that is emitted there. The errors are those of Ask.
func (n *Node) Join(ctx context.Context, connID, namespace, room string) error {
	return n.request(ctx, rpc.OpJoin, connID, &Message{Namespace: namespace, Room: room})
}

// Leave asks a connection of the cluster to leave a room. The errors are those
// of Ask.
func (n *Node) Leave(ctx context.Context, connID, namespace, room string) error {
	return n.request(ctx, rpc.OpLeave, connID, &Message{Namespace: namespace, Room: room})
}

// CloseConn closes a connection of the cluster with a code and a reason, which
// is cut to 123 bytes. The error is wire.ErrGone if it or its node is gone
// already, ErrCloseCode for a code that must not be sent, or ErrNotText.
func (n *Node) CloseConn(ctx context.Context, connID string, code wire.Code, reason string) error {
	if err := checkClose(code, reason); err != nil {
		return err
	}
	if err := n.usable(); err != nil {
		return err
	}
	_, err := n.hub.Peer().Call(ctx, &rpc.Request{Op: rpc.OpClose, Target: connID, Code: uint16(code), Payload: []byte(reason)})
	return err
}

func (n *Node) request(ctx context.Context, op rpc.Op, connID string, m *Message) error {
	if err := n.ready(m); err != nil {
		return err
	}
	_, err := n.hub.Peer().Call(ctx, &rpc.Request{Op: op, Target: connID, Binary: m.Binary, Payload: m.marked()})
	return err
}

// AskRoom asks all members of a room, on every node, and returns the first
// answer. Answers that only say that the event is not handled do not count. A
// room without a name is an ordinary room. The error is the answer's own,
// wire.ErrNobody for a room without members, wire.ErrUnhandled if no member
// handles the event, wire.ErrTimeout if members are silent or a node cannot be
// reached at the moment, wire.ErrUnavailable if members have too many
// unanswered asks, or that of ctx.
func (n *Node) AskRoom(ctx context.Context, m Message) (Answer, error) {
	if err := n.ready(&m); err != nil {
		return Answer{}, err
	}
	return answerOf(n.hub.Peer().AskRoom(ctx, m.room()))
}

// answerOf converts the answer to a request.
func answerOf(a rpc.Answer, err error) (Answer, error) { return Answer(a), err }

// AskAll asks all members of a room, on every node. It returns the answers that
// arrive before ctx ends or Timeouts.Ask has passed, and the nodes that had not
// finished by then. Each known node is asked on its own, so the ask may
// overtake messages that are being emitted into the room.
func (n *Node) AskAll(ctx context.Context, m Message) (Answers, error) {
	if err := n.ready(&m); err != nil {
		return Answers{}, err
	}
	all, err := n.hub.Peer().AskAll(ctx, m.room())
	answers := Answers{Missing: all.Missing}
	for _, a := range all.Answers {
		answers.Answers = append(answers.Answers, Answer(a))
	}
	return answers, err
}

// ready returns an error if the node cannot send the message.
func (n *Node) ready(m *Message) error {
	if err := n.usable(); err != nil {
		return err
	}
	return m.check()
}

// checkClose returns an error for a close frame that must not be sent.
func checkClose(code wire.Code, reason string) error {
	switch {
	case !code.Sendable():
		return ErrCloseCode
	case !utf8.ValidString(reason):
		return ErrNotText
	}
	return nil
}

// usable returns an error if the node cannot reach connections. During a
// shutdown it still can.
func (n *Node) usable() error {
	switch current := n.currentPhase(); {
	case current < phaseServing:
		return ErrNotServing
	case current == phaseStopped:
		return ErrClosed
	}
	return nil
}
