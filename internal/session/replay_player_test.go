package session_test

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/golden"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// player replays one conversation at one end.
type player struct {
	t            *testing.T
	conversation golden.Conversation
	side         golden.Side
	difference   *difference
	ends         map[string]*end
	// bound maps recorded tokens of this end to those of the replay.
	bound map[string]string
	log   []line
}

// end is this end of one connection.
type end struct {
	player  *player
	name    string
	path    string
	driver  session.Driver
	session session.Session
	queue   []payload
	sent    []string
	partial []byte
}

type payload struct {
	bytes  []byte
	binary bool
}

func (p payload) String() string {
	if p.binary {
		return "binary " + string(p.bytes)
	}
	return string(p.bytes)
}

func replay(t *testing.T, conversation golden.Conversation, side golden.Side) {
	p := &player{
		t: t, conversation: conversation, side: side,
		ends: make(map[string]*end), bound: make(map[string]string),
	}
	if found, ok := differences[side][conversation.ID]; ok {
		p.difference = &found
	}
	for _, connection := range conversation.Connections {
		if connection.Method == "GET" {
			p.open(connection)
		}
	}
	for i, frame := range conversation.Frames {
		p.play(i, frame)
	}
	p.checkFrames()
	p.checkCallbacks()
}

func (p *player) open(connection golden.Connection) {
	e := &end{player: p, name: connection.Name}
	e.path, _, _ = strings.Cut(connection.Path, "?")
	config := session.Config{
		Role:       session.Server,
		Native:     e.path == "/mixed",
		NativeOnly: e.path == "/native" && p.side == golden.Server,
	}
	if p.side == golden.Client {
		config.Role = session.Client
		e.driver = &recordedClient{end: e}
	} else {
		e.driver = newProfileServer(e, p.connectionID(connection))
	}
	config = config.WithDefaults()
	e.session.Init(&config, e.driver)
	p.ends[e.name] = e
	e.session.Hello()
}

func (p *player) connectionID(connection golden.Connection) string {
	if _, query, found := strings.Cut(connection.Path, "?"); found {
		values, err := url.ParseQuery(query)
		if err != nil {
			p.t.Fatalf("query of %s: %v", connection.Name, err)
		}
		return values.Get("cid")
	}
	for _, placeholder := range p.conversation.Placeholders {
		if placeholder.Kind == "id" {
			return placeholder.Value
		}
	}
	return ""
}

func (p *player) play(i int, frame golden.Frame) {
	e := p.ends[frame.Conn]
	switch frame.Op {
	case golden.Ping, golden.Pong:
		return
	case golden.Close, golden.TCPFin, golden.TCPReset:
		logged := p.log
		e.session.Close()
		if frame.From == golden.Client && p.side == golden.Client && !p.recordsItsEnd() {
			p.log = logged
		}
		return
	}
	if frame.From != p.side {
		e.receive(frame)
		return
	}
	if p.difference != nil && p.difference.frames != nil {
		p.playFreely(e, frame)
		return
	}
	if len(e.queue) == 0 {
		e.initiate(frame)
	}
	if len(e.queue) == 0 {
		p.t.Errorf("frame %d on %s: nothing was sent, want %q", i, e.name, frame.Payload)
		return
	}
	if got := e.queue[0]; !p.matches(frame, got) {
		p.t.Errorf("frame %d on %s: sent %q, want %q (%s)", i, e.name, got, frame.Payload, frame.Op)
	}
	e.queue = e.queue[1:]
}

// playFreely follows a recording that differs from the expected one: it takes
// from it only the messages that this end started. The sent messages are
// compared as a whole.
func (p *player) playFreely(e *end, frame golden.Frame) {
	for i, got := range e.queue {
		if p.matches(frame, got) {
			e.queue = e.queue[i+1:]
			return
		}
	}
	if frame.Payload[0] != ';' || p.side == golden.Client {
		e.queue = nil
		e.initiate(frame)
		e.queue = nil
	}
}

// receive hands a frame of the other end over, with its token replaced if it
// is one that this end made.
func (e *end) receive(frame golden.Frame) {
	e.partial = append(e.partial, frame.Payload...)
	if !frame.Final {
		return
	}
	received := e.partial
	e.partial = nil
	if token, rest, found := bytes.Cut(received, []byte(";")); found {
		if ours, bound := e.player.bound[string(token)]; bound {
			received = []byte(ours + ";" + string(rest))
		}
	}
	verdict := e.session.Receive(received, frame.Op == golden.Binary)
	if verdict == session.VerdictBusy {
		e.player.t.Errorf("%q on %s: verdict %v, want it taken", received, e.name, verdict)
	}
}

// matches compares a frame with the recorded one and binds a token that this
// end makes up.
func (p *player) matches(frame golden.Frame, got payload) bool {
	if (frame.Op == golden.Binary) != got.binary {
		return false
	}
	if bytes.Equal(frame.Payload, got.bytes) {
		return true
	}
	wantToken, wantRest, found := strings.Cut(string(frame.Payload), ";")
	token, rest, alsoFound := strings.Cut(string(got.bytes), ";")
	if !found || !alsoFound || wantRest != rest || token == "" || wantToken == "" {
		return false
	}
	if !p.madeHere(wantToken) {
		return false
	}
	p.bound[wantToken] = token
	return true
}

// madeHere reports whether this end made a recorded token up.
func (p *player) madeHere(token string) bool {
	return slices.ContainsFunc(p.conversation.Placeholders, func(placeholder golden.Placeholder) bool {
		return placeholder.MadeBy == p.side && placeholder.Value == token
	})
}

// initiate does what this end must have done to send a frame that answers
// nothing.
func (e *end) initiate(frame golden.Frame) {
	t := e.player.t
	binary := frame.Op == golden.Binary
	m, err := wire.Parse(frame.Payload, binary)
	if err != nil {
		if e.session.Acknowledged() && e.path == "/mixed" {
			e.must(e.session.EmitNative(frame.Payload, binary))
		}
		return
	}
	tokened := len(m.Token) > 0
	kind := wire.SystemKind(m.Event)
	if m.Error || tokened && len(m.Event) == 0 || !e.session.Acknowledged() {
		return
	}
	if tokened && !e.player.madeHere(string(m.Token)) {
		return
	}
	name := string(m.Namespace)
	if kind == wire.KindConnect {
		e.log(line{event: wire.EventNamespaceConnect, namespace: name, local: true})
		_, err := e.session.AskConnect(&place{name: name}, m.Body)
		e.must(err)
		e.bind(string(m.Token))
		return
	}
	namespace := e.session.Namespace(m.Namespace)
	if namespace == nil {
		t.Errorf("%q: namespace %q is not connected", frame.Payload, name)
		return
	}
	var room session.Room
	if len(m.Room) > 0 {
		room = e.session.Room(namespace, m.Room)
	}
	switch {
	case kind == wire.KindDisconnect:
		_, err = e.session.AskDisconnect(namespace)
	case kind == wire.KindJoin:
		_, err = e.session.AskJoin(namespace, &place{name: string(m.Room)}, nil)
	case kind == wire.KindLeave:
		_, err = e.session.AskLeave(namespace, room)
	case tokened:
		_, err = e.session.Ask(namespace, room, string(m.Event), m.Body, binary)
	default:
		err = e.session.Emit(namespace, room, string(m.Event), m.Body, binary)
	}
	e.must(err)
	e.bind(string(m.Token))
}

// bind remembers which token took the place of a recorded one.
func (e *end) bind(recorded string) {
	if recorded == "" || len(e.queue) == 0 {
		return
	}
	token, _, _ := strings.Cut(string(e.queue[0].bytes), ";")
	e.player.bound[recorded] = token
}

func (e *end) must(err error) {
	if err != nil {
		e.player.t.Errorf("on %s: %v", e.name, err)
	}
}

func (e *end) log(l line) { e.player.log = append(e.player.log, l) }

func (e *end) Send(bytes []byte, binary bool) {
	p := payload{slices.Clone(bytes), binary}
	e.queue = append(e.queue, p)
	e.sent = append(e.sent, p.String())
}
