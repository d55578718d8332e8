// Package client is the Go client of Stoa nodes.
//
// It also works with neffos servers, as far as they support its calls.
//
//	var chat client.Namespace
//	chat.OnEmit("chat", func(ctx context.Context, e *client.EmitEvent) error { … })
//	conn, err := client.Dial(ctx, "wss://chat.example.com/ws", client.Options{
//		Namespaces: map[string]*client.Namespace{"default": &chat},
//	})
//	ns, err := conn.Connect(ctx, "default")
//	room, err := ns.JoinRoom(ctx, "lobby")
//	err = room.Emit("chat", []byte("hello"))
//	answer, err := ns.Ask(ctx, "time", nil)
//
// A [Conn] is connected to namespaces ([NSConn]) and joined to rooms ([Room])
// of them. An emit into a room reaches its other members if the server relays.
// The server can also connect the client to a namespace that it has declared,
// join it to a room, ask it, and make it leave.
//
// # Handlers
//
// Incoming messages go to the handlers of their [Namespace]. All handlers of a
// Conn, and [Options].OnState, run one at a time, in the order of the messages
// and changes, on a goroutine that exists only while handlers are queued.
// Answers bypass that queue: a handler may ask, connect, join, leave, and close
// its own Conn. Start goroutines for concurrency.
//
// A handler that decides takes a request, which it can answer: its Reply method
// sets the body, and its error refuses. A handler that is only notified takes
// an event. Both kinds of structs may get further fields in later versions.
//
// Namespaces are connected and rooms are joined as soon as the server and the
// client agree; the handlers are notified in their turn.
//
// The panic of a handler is logged, an ask is answered with "internal error",
// and the next handler runs.
//
// While more than Options.ReceiveQueue bytes are queued for handlers, the
// connection is not read, and the server may treat the client as a slow
// consumer. While an ask is in flight the limit is higher, as the answer
// arrives after other messages.
//
// # Asking
//
// Ask, Connect, JoinRoom, Leave and Disconnect wait for the server's answer
// until their context is done. A context without a deadline gets that of
// Options.AskTimeout. An error of the server is returned unchanged: an error of
// package wire if it has the text, else a [wire.RemoteError].
//
// # When the connection is lost
//
// A Conn reconnects automatically ([Reconnect]) after a random delay, whose
// bound grows up to a cap. The server can suggest a delay at the end of the
// reason of a close frame: "; retry-after=MILLISECONDS". [Options].Authenticate
// is called before each attempt, and when the identity of the connection is
// about to end. On the new connection, which has another ID, the Conn connects
// to the same namespaces in the same order, joins the rooms, sends the buffered
// emits, and then reports StateConnected. Handles stay the same; OnConnected
// and OnJoined are not called. If the server now refuses a namespace or a room,
// it ends: OnDisconnected or OnLeft receives the error, and the others are
// restored. If the server cannot decide at the moment (wire.ErrUnavailable,
// wire.ErrTimeout), the attempt counts as failed.
//
// In rooms with a history on the server, the handlers receive the messages that
// the Conn has missed, in order and once, before new ones. If they are not all
// available, Namespace.OnHistoryGap is called. JoinOptions.Position continues
// after a position that the application has kept (Room.Position).
//
// Room.Publish sends a confirmed emit: it waits for the next connection, sends
// the message again with the same ID, and returns its position in the history
// when the server has it. The server publishes it once. Only an error that
// matches [ErrUnconfirmed] leaves it open whether it was published.
//
// In rooms with presence on the server, Room.Presence reads the members, and
// Namespace.OnPresence receives the changes; a [Roster] keeps a list of all
// members up to date. The server sends changes only to a Conn that has a
// handler for them when it dials. Changes during a loss are not repeated:
// PresenceEvent.Stale reports that, and Roster then reads the members again.
//
// While the Conn is not connected:
//
//   - asks that were in flight fail at once with [ErrDisconnected]; the server
//     may have received them; Room.Publish sends its message again;
//   - Ask, Connect and JoinRoom wait until it is connected or their context is
//     done;
//   - Leave and Disconnect take effect at once, without the server;
//   - emits are kept, dropped or refused, as [Buffer] says. Emits that the lost
//     connection had not begun to send are treated alike. No message is sent
//     twice; messages that were being written when the connection broke may be
//     lost.
//
// A Conn is closed for good by Close, by a final close code (wire.Code.Retry),
// by a refusal, or when Reconnect gives up. Conn.Done is closed then, and
// Conn.Err returns the reason. Every change of the [State] is reported to
// Options.OnState as a [StateEvent].
//
// # Life of a connection
//
// Pings of the server are answered without the handlers. The client sends a
// ping after half of Options.IdleTimeout without a message, because a neffos
// server does not, and drops the connection after all of it. A process that was
// suspended first handles the messages that have arrived: a deadline that is
// noticed late is extended by as much, up to a second. Close sends the queued
// messages and a close frame, and waits for the server's.
//
// A connected Conn has three goroutines, and one more while handlers run. None
// is left after Close has returned, except for running handlers and an
// Authenticate that ignores its context.
//
// permessage-deflate is not offered: a node does not support it.
//
// The package imports codec, wire, internal/session and internal/taskqueue, and
// gobwas/ws for the handshake. One mutex, Conn.mu, guards the state of a Conn
// and its transport; handlers run without it.
package client
