package hostile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/testkit"
)

// attacks are those that a client can do to others.
var attacks = []attack{
	{name: "flood over Redis", redis: true, clients: 1, prepare: flood(small)},
	{name: "many floods over Redis", redis: true, clients: 20, prepare: flood(small)},
	{name: "large floods over Redis", redis: true, clients: 4, prepare: flood(small + strings.Repeat("x", 10_000))},
	{name: "flood of asks over Redis", redis: true, clients: 1, prepare: flood("$1;default;own %d;q;0;0;")},
	{name: "flood of a namespace over Redis", redis: true, clients: 1, prepare: wideFlood},
	{name: "joins and leaves over Redis", redis: true, clients: 1, prepare: joinsAndLeaves},
	{name: "flood", clients: 1, prepare: flood(small)},
	{name: "many floods", clients: 20, prepare: flood(small)},
	{name: "flood of a namespace", loops: 2, clients: 1, prepare: wideFlood},
	{name: "asks without a handler", clients: 4, prepare: flood("$1;default;;nothing;0;0;")},
	{name: "large asks to silent members", clients: 1, prepare: largeAsks},
	{name: "unfinished messages", clients: 100, prepare: unfinished},
	{name: "pings", clients: 4, prepare: pings},
	{name: "flood to members that do not read", clients: 1, closes: "slow_consumer", prepare: deafMembers},
	{name: "connections opened and closed", clients: 2, prepare: churn},
	{name: "requests that are not finished", clients: 1, prepare: halfRequests},
	{name: "reads of a history", clients: 4, prepare: historyReads},
	{name: "reads of a history over Redis", redis: true, clients: 4, prepare: historyReads},
	{name: "rooms without end that are kept", clients: 2, prepare: keptRooms},
	{name: "forged positions", clients: 4, prepare: forgedPositions},
	{name: "members that come and go", clients: 4, prepare: comeAndGo},
	{name: "invalid messages", clients: 2, closes: "invalid_payload_flood", prepare: invalidMessages},
}

// small is a small emit into a room of the hostile connection's own.
const small = ";default;own %d;e;0;0;twenty bytes of text"

// blob is as many messages as a hostile client writes before it waits for the
// node to have handled them.
const blob = 500

// flood emits at full speed into a room of its own. The text may contain the
// number of the connection.
func flood(text string) func(*arena, int) *hostile {
	return func(a *arena, number int) *hostile {
		p := join(a.t, a.node, fmt.Sprint("own ", number))
		if strings.Contains(text, "%d") {
			return flooder(p, fmt.Sprintf(text, number))
		}
		return flooder(p, text)
	}
}

// wideFlood emits at full speed to all connections of a namespace, a few of
// which are on each loop.
func wideFlood(a *arena, _ int) *hostile {
	const listeners = 8
	var all []*peer
	for range listeners + 1 {
		p := dial(a.t, a.node)
		p.connect(a.t, "wide")
		all = append(all, p)
	}
	for _, p := range all[1:] {
		go func() { _, _ = io.Copy(io.Discard, p.in) }()
	}
	h := flooder(all[0], ";wide;;e;0;0;twenty bytes of text")
	h.close = func() {
		for _, p := range all {
			_ = p.conn.Close()
		}
	}
	return h
}

// flooder sends a text at full speed.
func flooder(p *peer, text string) *hostile {
	return repeat(p, textFrame(text), min(blob, 4<<20/len(text)))
}

// pings sends pings.
func pings(a *arena, number int) *hostile {
	return repeat(join(a.t, a.node, fmt.Sprint("own ", number)), testkit.ClientFrame(ws.OpPing, true, "x"), blob)
}

// repeat sends many frames at a time and waits until all are handled: else the
// sockets' buffers would extend the attack by seconds.
func repeat(p *peer, frame []byte, count int) *hostile {
	const last = "$last;default;;nothing;0;0;"
	data := append(bytes.Repeat(frame, count), textFrame(last)...)
	return &hostile{
		close: func() { _ = p.conn.Close() },
		strike: func() error {
			if _, err := p.conn.Write(data); err != nil {
				return err
			}
			return p.skipTo("$last;")
		},
	}
}

// joinsAndLeaves joins and leaves rooms that no other client is in.
func joinsAndLeaves(a *arena, number int) *hostile {
	p := join(a.t, a.node, fmt.Sprint("own ", number))
	var data []byte
	for i := range 100 {
		data = append(data, textFrame(fmt.Sprintf("$j;default;room %d;_OnRoomJoin;0;0;", i))...)
	}
	for i := range 100 {
		data = append(data, textFrame(fmt.Sprintf("$l;default;room %d;_OnRoomLeave;0;0;", i))...)
	}
	return repeat(p, data, 1)
}

// largeAsks asks a room of silent members, with bodies near the limit.
func largeAsks(a *arena, number int) *hostile {
	room := fmt.Sprint("silent ", number)
	for range 20 {
		member := join(a.t, a.node, room)
		go func() { _, _ = io.Copy(io.Discard, member.in) }()
	}
	return repeat(join(a.t, a.node, room), textFrame("$1;default;"+room+";q;0;0;"+strings.Repeat("x", 60_000)), 10)
}

// unfinished begins a message and sends a byte of it from time to time.
func unfinished(a *arena, number int) *hostile {
	p := join(a.t, a.node, fmt.Sprint("own ", number))
	begun := textFrame(fmt.Sprintf(small, number) + strings.Repeat("x", 60_000))
	sent := 30_000
	if _, err := p.conn.Write(begun[:sent]); err != nil {
		a.t.Fatal(err)
	}
	pause := time.NewTicker(10 * time.Millisecond)
	return &hostile{
		close: func() { pause.Stop(); _ = p.conn.Close() },
		strike: func() error {
			<-pause.C
			sent++
			_, err := p.conn.Write(begun[sent-1 : sent])
			return err
		},
	}
}

// deafMembers emits at full speed into a room whose other members read nothing.
// The node closes them.
func deafMembers(a *arena, number int) *hostile {
	const deaf = 10
	room := fmt.Sprint("deaf ", number)
	for range deaf {
		join(a.t, a.node, room)
	}
	return repeat(join(a.t, a.node, room), textFrame(";default;"+room+";e;0;0;"+strings.Repeat("x", 10_000)), 50)
}

// churn opens connections, with all that belongs to one, and closes them.
func churn(a *arena, number int) *hostile {
	room := fmt.Sprint("churn ", number)
	return &hostile{close: func() {}, strike: func() error {
		p, err := open(a.node)
		if err != nil {
			return err
		}
		defer func() { _ = p.conn.Close() }()
		for _, text := range []string{"$c;default;;_OnNamespaceConnect;0;0;", "$j;default;" + room + ";_OnRoomJoin;0;0;"} {
			if _, err := p.conn.Write(textFrame(text)); err != nil {
				return err
			}
			if _, err := p.read(); err != nil {
				return err
			}
		}
		return nil
	}}
}

// halfRequests opens sockets that send the half of a request, and closes the
// oldest ones.
func halfRequests(a *arena, _ int) *hostile {
	const most = 100
	request := testkit.UpgradeRequest("/ws")
	var open []net.Conn
	closeTo := func(count int) {
		for len(open) > count {
			_ = open[0].Close()
			open = open[1:]
		}
	}
	return &hostile{close: func() { closeTo(0) }, strike: func() error {
		conn, err := dialRaw(a.node)
		if err != nil {
			return err
		}
		open = append(open, conn)
		closeTo(most)
		_, err = io.WriteString(conn, request[:len(request)/2])
		return err
	}}
}

// invalidMessages sends texts that do not parse until it is closed, repeatedly.
func invalidMessages(a *arena, _ int) *hostile {
	data := bytes.Repeat(textFrame(";;;;"), blob)
	return &hostile{close: func() {}, strike: func() error {
		p, err := open(a.node)
		if err != nil {
			return err
		}
		defer func() { _ = p.conn.Close() }()
		// It may be closed before it has written everything.
		_, _ = p.conn.Write(data)
		for {
			if _, err := p.read(); err != nil && strings.Contains(err.Error(), "4001") || errors.Is(err, syscall.ECONNRESET) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}}
}
