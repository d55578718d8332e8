package clients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/wire"
)

// role is a script for a client: its options and its acts, one after the other.
//
//	dial                  connect NAMESPACE        disconnect NAMESPACE
//	join NAMESPACE ROOM   leave NAMESPACE ROOM
//	recover NAMESPACE ROOM HISTORY@POSITION        place NAMESPACE ROOM POSITION
//	history NAMESPACE ROOM LIMIT                   roster NAMESPACE ROOM
//	publish NAMESPACE ROOM ID                      offer NAMESPACE ROOM ID
//	emit NAMESPACE EVENT BODY                      room NAMESPACE ROOM EVENT
//	big NAMESPACE BYTES   volatile NAMESPACE ROOM EVENT
//	ask NAMESPACE EVENT BODY                       start NAMESPACE EVENT BODY
//	await STATE           await ask                close
//
// recover is a join with these options, place shows how far the client is in a
// room when its handlers have reached a position, and history reads it. roster
// reads all members of a room. start asks and offer publishes without waiting
// for the answer, await ask waits for it; await of a state waits for a change
// since the last such wait. big emits a message of this size.
type role struct {
	URL      string   `json:"url"`
	Acts     []string `json:"acts"`
	Attempts int      `json:"attempts"`
	// In milliseconds; zero means the default.
	DialTimeout int `json:"dialTimeout"`
	AskTimeout  int `json:"askTimeout"`
	Base        int `json:"base"`
	Cap         int `json:"cap"`

	Policy        string `json:"policy"`
	Messages      int    `json:"messages"`
	MaxNamespaces int    `json:"maxNamespaces"`
	MaxRooms      int    `json:"maxRooms"`
	// Tokens is how many tokens Authenticate has before it refuses; zero: there
	// is no Authenticate.
	Tokens int `json:"tokens"`
	// Presence: there are handlers of joins and leaves.
	Presence bool `json:"presence"`
}

// performance is what a client of either kind has shown. States and Calls are
// separate, since stoa-client calls the listeners of states at once.
type performance struct {
	Results []string `json:"results"`
	States  []string `json:"states"`
	Calls   []string `json:"calls"`
}

// declared are the namespaces that every client declares.
var declaredNamespaces = []string{"a", "b"}

// slow is the delay from which an attempt counts as put off by the server.
const slow = time.Second

// goActor plays a role with package client.
type goActor struct {
	role role
	conn *client.Conn

	mu      sync.Mutex
	shown   performance   // guarded by mu
	changed chan struct{} // guarded by mu; closed and replaced at each change
	awaited int           // states that were awaited
	tokens  int           // that were given out; by one call at a time
	asks    sync.WaitGroup
}

func playGo(t testing.TB, r role, want *performance) (shown performance) {
	t.Helper()
	a := &goActor{role: r, changed: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	for _, act := range r.Acts {
		a.act(ctx, act)
	}
	// Handlers run on a goroutine of their own.
	testkit.Wait(func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		shown = performance{slices.Clone(a.shown.Results), slices.Clone(a.shown.States), slices.Clone(a.shown.Calls)}
		return len(shown.States) >= len(want.States) && len(shown.Calls) >= len(want.Calls)
	})
	if a.conn != nil {
		_ = a.conn.Close() // unsent messages no longer matter
	}
	return shown
}

func (a *goActor) note(list *[]string, format string, arguments ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*list = append(*list, strings.TrimSpace(fmt.Sprintf(format, arguments...)))
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *goActor) result(what string, err error) {
	text := describe(err)
	if text == "" {
		text = "ok"
	}
	a.note(&a.shown.Results, "%s: %s", what, text)
}

func (a *goActor) act(ctx context.Context, act string) {
	words := strings.SplitN(act, " ", 4)
	word := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	if a.conn == nil {
		conn, err := client.Dial(ctx, a.role.URL, a.options())
		a.conn = conn
		a.result("dial", err)
		return
	}
	ns := a.conn.Namespace(word(1))
	missing := func() error { return a.conn.Write(client.Message{Namespace: word(1), Event: "x"}) }
	switch words[0] {
	case "connect":
		_, err := a.conn.Connect(ctx, word(1))
		a.result("connect", err)
	case "disconnect":
		a.result("disconnect", ns.Disconnect(ctx))
	case "join":
		_, err := ns.JoinRoom(ctx, word(2))
		a.result("join", err)
	case "recover":
		o := client.JoinOptions{}
		_, _ = fmt.Sscanf(strings.Replace(word(3), "@", " ", 1), "%d %s", &o.History, &o.Position)
		_, err := ns.JoinRoomWith(ctx, word(2), o)
		a.result("recover", err)
	case "place":
		in := ns.Room(word(2))
		testkit.Wait(func() bool { return in.Position() == word(3) })
		a.note(&a.shown.Results, "place: recovered %t at %s", in.Recovered(), in.Position())
	case "history":
		a.history(ctx, ns.Room(word(2)), word(3))
	case "roster":
		var roster client.Roster
		err := roster.Load(ctx, ns.Room(word(2)))
		a.result("roster", err)
		for _, m := range roster.Members() {
			a.note(&a.shown.Results, "member: %s%s %d %s of %d", m.User, m.Conn, m.Conns, m.Info, roster.Count())
		}
	case "publish":
		a.publish(ctx, ns.Room(word(2)), word(3))
	case "offer":
		in := ns.Room(word(2))
		a.asks.Go(func() { a.publish(ctx, in, word(3)) })
	case "leave":
		a.result("leave", ns.Room(word(2)).Leave(ctx))
	case "emit":
		err := a.conn.Write(client.Message{Namespace: word(1), Event: word(2), Body: []byte(word(3))})
		a.note(&a.shown.Results, "emit: %t", err == nil)
	case "room":
		err := a.conn.Write(client.Message{Namespace: word(1), Room: word(2), Event: word(3)})
		a.note(&a.shown.Results, "room: %t", err == nil)
	case "volatile":
		a.note(&a.shown.Results, "volatile: %t", ns.Room(word(2)).EmitVolatile(word(3), []byte("x")) == nil)
	case "big":
		size := 0
		_, _ = fmt.Sscan(word(2), &size)
		err := ns.Emit("big", bytes.Repeat([]byte("x"), size-len(";a;;big;0;0;")))
		a.note(&a.shown.Results, "big: %t", err == nil)
	case "ask", "start":
		ask := func() {
			// The time limit is that of the options.
			answer, err := a.conn.Ask(context.WithoutCancel(ctx), client.Message{Namespace: word(1), Event: word(2), Body: []byte(word(3))})
			text := describe(err)
			if err == nil {
				text = string(answer.Body)
			}
			a.note(&a.shown.Results, "ask: %s", text)
		}
		if words[0] == "ask" {
			ask()
		} else {
			a.asks.Go(ask)
		}
	case "await":
		if words[1] == "ask" {
			a.asks.Wait()
		} else {
			a.await(ctx, strings.TrimPrefix(act, "await "))
		}
	case "close":
		if err := a.conn.Close(); err != nil {
			a.result("close", err)
		}
	default:
		a.result("unknown act "+act, missing())
	}
}

// await waits for a change to a state.
func (a *goActor) await(ctx context.Context, state string) {
	for {
		a.mu.Lock()
		for a.awaited < len(a.shown.States) {
			a.awaited++
			if strings.HasPrefix(a.shown.States[a.awaited-1], state) {
				a.mu.Unlock()
				return
			}
		}
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			a.note(&a.shown.Results, "still waiting for %s", state)
			return
		}
	}
}

func (a *goActor) options() client.Options {
	milliseconds := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	o := client.Options{
		Namespaces:  make(map[string]*client.Namespace),
		DialTimeout: milliseconds(a.role.DialTimeout), AskTimeout: milliseconds(a.role.AskTimeout),
		Reconnect:     client.Reconnect{Base: milliseconds(a.role.Base), Cap: milliseconds(a.role.Cap), Attempts: a.role.Attempts},
		Buffer:        client.Buffer{Messages: a.role.Messages, Policy: map[string]client.BufferPolicy{"drop": client.BufferDrop, "fail": client.BufferFail}[a.role.Policy]},
		MaxNamespaces: a.role.MaxNamespaces, MaxRooms: a.role.MaxRooms,
		OnState: a.state,
	}
	if a.role.Tokens != 0 {
		o.Authenticate = client.Bearer(a.token)
		o.OnRenewal = a.renewed
	}
	calls := &a.shown.Calls
	for _, name := range declaredNamespaces {
		ns := new(client.Namespace)
		ns.OnConnected(func(context.Context, *client.ConnectedEvent) { a.note(calls, "connected %s", name) })
		ns.OnDisconnected(func(_ context.Context, e *client.DisconnectedEvent) {
			a.note(calls, "disconnected %s%s", name, ending(e.Forced, e.Err))
		})
		ns.OnJoined(func(_ context.Context, e *client.JoinedEvent) { a.note(calls, "joined %s/%s", name, e.Room.Name()) })
		ns.OnLeft(func(_ context.Context, e *client.LeftEvent) {
			a.note(calls, "left %s/%s%s", name, e.Room.Name(), ending(e.Forced, e.Err))
		})
		ns.OnEmit("news", func(_ context.Context, e *client.EmitEvent) error {
			a.note(calls, "news %s %s %s", e.Room, e.Body, e.Position)
			return nil
		})
		ns.OnHistoryGap(func(_ context.Context, e *client.HistoryGapEvent) {
			a.note(calls, "gap %s/%s %s", name, e.Room.Name(), e.Position)
		})
		ns.OnHistoryRemoved(func(_ context.Context, e *client.HistoryRemovedEvent) {
			a.note(calls, "removed %s/%s %s", name, e.Room.Name(), e.Position)
		})
		if a.role.Presence {
			ns.OnPresence(func(_ context.Context, e *client.PresenceEvent) {
				a.note(calls, "presence %s/%s joined %d left %d of %d stale %t", name, e.Room.Name(), len(e.Joined), len(e.Left), e.Count, e.Stale)
			})
		}
		ns.OnAsk("fail", func(_ context.Context, r *client.AskRequest) error { return errors.New(string(r.Body)) })
		ns.OnAsk("nothing", func(context.Context, *client.AskRequest) error { return nil })
		o.Namespaces[name] = ns
	}
	return o
}

// token returns the next token, while there is one.
func (a *goActor) token(context.Context) (string, error) {
	if a.tokens++; a.tokens > a.role.Tokens {
		return "", wire.ErrUnauthorized
	}
	return fmt.Sprint("token ", a.tokens), nil
}

func (a *goActor) renewed(_ context.Context, e *client.RenewalEvent) {
	switch {
	case e.Err == nil:
		a.note(&a.shown.States, "renewed")
	case e.Delay == 0:
		a.note(&a.shown.States, "not renewed %s finally", describe(e.Err))
	default:
		a.note(&a.shown.States, "not renewed %s", describe(e.Err))
	}
}

// ending describes how a namespace or room has ended. An end by Close has an
// error in Go only.
func ending(forced bool, err error) string {
	text := ""
	if forced {
		text = " forced"
	}
	if err != nil && !errors.Is(err, client.ErrClosed) {
		text += " " + describe(err)
	}
	return text
}

func (a *goActor) state(_ context.Context, e *client.StateEvent) {
	switch {
	case e.From == e.To && e.Delay < slow:
	case e.To == client.StateReconnecting || e.To == client.StateConnecting:
		text := fmt.Sprintf("%v %d %s attempt %d", e.To, e.Code, e.Reason, e.Attempt)
		if e.Code == 0 {
			text = e.To.String()
		}
		if e.Delay >= slow {
			text += " put off"
		}
		a.note(&a.shown.States, "%s", text)
	default:
		a.note(&a.shown.States, "%v %s", e.To, describe(e.Err))
	}
}

// describe is an error in the words of both clients.
func describe(err error) string {
	var closed *client.CloseError
	var refused *client.RefusedError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, client.ErrUnconfirmed):
		return "maybe published: " + describe(lastCause(err))
	case errors.Is(err, client.ErrNotPublished):
		return "not published: " + describe(lastCause(err))
	case errors.Is(err, client.ErrGaveUp):
		return "gave up"
	case errors.As(err, &refused):
		if refused.Status != 0 {
			return fmt.Sprintf("refused with status %d", refused.Status)
		}
		return refused.Text
	case errors.As(err, &closed):
		if closed.Reason != "" {
			return "closed by the server: " + closed.Reason
		}
		return fmt.Sprintf("closed by the server: closed with code %d", closed.Code)
	case errors.Is(err, client.ErrClosed):
		return "closed"
	case errors.Is(err, client.ErrDisconnected):
		return "connection lost"
	case errors.Is(err, wire.ErrUnauthorized):
		return wire.ErrUnauthorized.Error()
	}
	return err.Error()
}

// playJS plays a role with stoa-client, in a process of its own.
func playJS(t testing.TB, r role, _ *performance) (shown performance) {
	t.Helper()
	if _, err := os.Stat(builtPackage); err != nil {
		t.Fatalf("the package stoa-client is not built: %v; make js-build builds it", err)
	}
	argument, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	command := exec.CommandContext(ctx, "node", "actor.js", string(argument))
	var printed bytes.Buffer
	command.Stderr = &printed
	output, err := command.Output()
	if err != nil {
		t.Fatalf("actor.js: %v; it printed:\n%s%s", err, &printed, output)
	}
	if err := json.Unmarshal(output, &shown); err != nil {
		t.Fatalf("actor.js printed %q: %v", output, err)
	}
	return shown
}
