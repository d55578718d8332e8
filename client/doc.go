// Package client is the Go client of Stoa nodes, and of neffos servers as far as they
// can do it. It imports packages wire and internal/session, and gobwas/ws for the
// handshake.
//
//	conn, err := client.Dial(ctx, "wss://chat.example.com/ws", client.Options{
//		Namespaces: map[string]client.Handlers{"default": {
//			OnEmit: map[string]client.EmitHandler{"chat": onChat},
//		}},
//	})
//	ns, err := conn.Connect(ctx, "default")
//	room, err := ns.JoinRoom(ctx, "lobby")
//	err = room.Emit("chat", []byte("hello"))
//	answer, err := ns.Ask(ctx, "time", nil)
//
// A [Conn] holds namespaces ([NSConn]), and these hold rooms ([Room]). What is emitted
// into a room reaches its other members, where the server relays. The server can do the
// same from its side: connect the client to a namespace that it has declared, join it to
// a room, ask it, take it out again.
//
// # Handlers
//
// What arrives goes to the [Handlers] of its namespace. All handlers of a Conn, and
// [Options].OnState, run one at a time and in the order of what happened, on a goroutine
// that exists only while there is something to do. Answers do not wait in that line: a
// handler may ask, connect, join, leave, and close its own Conn. Programs that want more
// at the same time start goroutines of their own.
//
// Namespaces and rooms are counted as connected and joined as soon as the server and the
// client agree; the handlers hear of it in their turn.
//
// An ask of the server is answered with what its handler returns. A handler that panics
// is logged; the server is told "internal error", and everything goes on.
//
// While more than Options.ReceiveQueue bytes wait for handlers, the connection is not read
// and the server feels it: it may count the client as a slow consumer. Only while an ask
// is in flight more is read, as its answer comes behind the rest.
//
// # Asking
//
// Ask, Connect, JoinRoom, Leave and Disconnect wait for the server's answer until their
// context ends. A context without a deadline gets that of Options.AskTimeout. What the
// server answers instead of success comes back as it is: an error of package wire where
// it has that text, else a [wire.RemoteError].
//
// # When the connection is lost
//
// A Conn connects again by itself ([Reconnect]): after a random delay, whose bound
// doubles up to a cap. It uses a delay that the server suggests, at the end of the
// reason of a close frame: "; retry-after=MILLISECONDS". [Options].Authenticate is called
// before each attempt. On the new connection, which has another ID, it connects to the
// same namespaces in the order of connecting, joins the rooms, sends what was kept,
// and only then is connected again and says so. Handles stay the same, and OnConnected
// and OnJoined are not called again. A namespace or a room that the server refuses now is
// over: OnDisconnected or OnLeft hears the error, and the rest goes on. If the server
// says that it cannot tell at the moment (wire.ErrUnavailable, wire.ErrTimeout), the
// attempt counts as failed.
//
// Meanwhile
//
//   - asks that were in flight fail at once with [ErrDisconnected]: whether the server has
//     got them is not known;
//   - Ask, Connect and JoinRoom wait for the connection until their context ends;
//   - Leave and Disconnect do it at once, without the server;
//   - what is emitted is kept, dropped or refused, as [Buffer] says. What a connection
//     had not begun to send when it was lost is kept like that, too. Nothing is ever sent
//     twice; what was under way when the connection broke may be lost.
//
// A Conn is closed for good by Close, by a close code that says so (wire.Code.Retry), by
// a refusal, or when Reconnect gives up. Conn.Done tells, and Conn.Err says why. Every
// change of the [State] goes to Options.OnState as a [Transition].
//
// # Life of a connection
//
// A ping of the server is answered without the handlers. The client pings by itself when
// nothing has come for half of Options.IdleTimeout, because a neffos server does not, and
// gives the connection up when nothing comes for all of it. Close sends what is queued
// and a close frame, and waits for the server's.
//
// While it is connected a Conn has three goroutines, and one more while handlers run.
// None is left after Close has returned, but for handlers that still run and an
// Authenticate that does not heed its context.
//
// permessage-deflate is not offered: a node does not take it.
package client
