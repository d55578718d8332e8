package session_test

import (
	"bytes"
	"slices"
	"strings"

	"github.com/stoa-io/stoa/internal/golden"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// recordedClient is the program of a recorded client: it answers what the
// client in the recording answered.
type recordedClient struct{ *end }

var _ session.Driver = (*recordedClient)(nil)

func (c *recordedClient) Hello()              { c.player.t.Error("a client got a hello") }
func (c *recordedClient) Acknowledged(string) {}
func (c *recordedClient) Refused(string)      {}

func (c *recordedClient) isJavaScript() bool {
	return strings.HasPrefix(c.player.conversation.Client, "neffos.js")
}

// recorded returns what the client answered to a token.
func (c *recordedClient) recorded(token []byte) (wire.Message, bool) {
	for _, frame := range c.player.conversation.Frames {
		if frame.From != golden.Client || frame.Conn != c.name || len(token) == 0 {
			continue
		}
		m, err := wire.Parse(frame.Payload, frame.Op == golden.Binary)
		if err == nil && bytes.Equal(m.Token, token) {
			return m, true
		}
	}
	return wire.Message{}, false
}

func (c *recordedClient) Request(r *session.Request) {
	m := r.Message
	namespace, room := string(m.Namespace), string(m.Room)
	answer, found := c.recorded(m.Token)
	switch r.Kind {
	case session.Connect:
		// neffos.js has no OnNamespaceConnect for a connect by the server.
		if undeclared := string(answer.Body) == wire.ErrBadNamespace.Error(); !c.isJavaScript() && !undeclared {
			c.log(line{event: wire.EventNamespaceConnect, namespace: namespace})
		}
	case session.Join:
		c.log(line{event: wire.EventRoomJoin, namespace: namespace, room: room})
	case session.Leave:
		c.log(line{event: wire.EventRoomLeave, namespace: namespace, room: room})
	}
	if found && answer.Error {
		c.session.Reject(r, string(answer.Body))
		return
	}
	switch r.Kind {
	case session.Connect:
		c.session.AcceptConnect(r, &place{name: namespace})
	case session.Disconnect:
		c.session.AcceptDisconnect(r)
	case session.Join:
		c.session.AcceptJoin(r, &place{name: room})
	case session.Leave:
		c.session.AcceptLeave(r)
	}
}

func (c *recordedClient) Connected(n session.Namespace, local bool) {
	c.log(line{event: wire.EventNamespaceConnected, namespace: n.Name(), local: local})
}

func (c *recordedClient) Disconnected(n session.Namespace, local, forced bool) {
	c.log(line{event: wire.EventNamespaceDisconnect, namespace: n.Name(), local: local, forced: forced})
}

func (c *recordedClient) Joined(n session.Namespace, r session.Room, local bool) {
	if local {
		c.log(line{event: wire.EventRoomJoin, namespace: n.Name(), room: r.Name(), local: true})
	}
	c.log(line{event: wire.EventRoomJoined, namespace: n.Name(), room: r.Name(), local: local})
}

func (c *recordedClient) Left(n session.Namespace, r session.Room, local, forced bool) {
	if local || forced {
		c.log(line{event: wire.EventRoomLeave, namespace: n.Name(), room: r.Name(), local: local, forced: forced})
	}
	c.log(line{event: wire.EventRoomLeft, namespace: n.Name(), room: r.Name(), local: local, forced: forced})
}

func (c *recordedClient) Answered(*session.Answer) {}

func (c *recordedClient) Event(e *session.Event) {
	m := e.Message
	handled := slices.ContainsFunc(c.player.conversation.ClientCallbacks, func(callback golden.Callback) bool {
		return callback.Event == string(m.Event)
	})
	if handled || e.Native {
		l := line{event: string(m.Event), namespace: string(m.Namespace), room: string(m.Room)}
		if !m.Binary {
			l.body = string(m.Body)
		}
		c.log(l)
	}
	answer, found := c.recorded(m.Token)
	switch {
	case found && answer.Error:
		c.session.ReplyError(m, string(answer.Body))
	case found:
		c.session.Reply(m, answer.Body)
	}
}
