package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/golden"
	"github.com/stoa-io/stoa/wire"
)

// A replay puts a session in the place of one end of a recorded conversation.
// It gets the frames of the other end, and its own must come out byte for byte
// but for the tokens and names it makes up. The frames show which actions an
// end started, so the recording is the script as well.

func TestReplayAsServer(t *testing.T) { replayAll(t, golden.Server) }
func TestReplayAsClient(t *testing.T) { replayAll(t, golden.Client) }

func replayAll(t *testing.T, side golden.Side) {
	for _, conversation := range golden.Load(t) {
		if reason := notReplayed(conversation, side); reason != "" {
			continue
		}
		t.Run(conversation.ID, func(t *testing.T) { replay(t, conversation, side) })
	}
}

// Every recording is replayed from one end at least, or listed.
func TestEveryConversationIsCovered(t *testing.T) {
	known := make(map[string]bool)
	for _, conversation := range golden.Load(t) {
		id := conversation.ID
		known[id] = true
		asServer, asClient := notReplayed(conversation, golden.Server), notReplayed(conversation, golden.Client)
		if _, listed := untestable[id]; !listed && asServer != "" && asClient != "" {
			t.Errorf("%s is not replayed (as server: %s; as client: %s), want it in the table", id, asServer, asClient)
		}
	}
	for id := range untestable {
		if !known[id] {
			t.Errorf("table names %q, which is no conversation", id)
		}
	}
	for side, table := range differences {
		for id := range table {
			if !known[id] {
				t.Errorf("differences of the %s name %q, which is no conversation", side, id)
			}
		}
	}
}

func notReplayed(conversation golden.Conversation, side golden.Side) string {
	if reason, listed := untestable[conversation.ID]; listed {
		return reason
	}
	if side == golden.Server && conversation.Server == "scripted" {
		return "the server was a script that breaks rules on purpose"
	}
	if side == golden.Client && strings.HasPrefix(conversation.Client, "scripted") {
		return "the client was a script, not a client"
	}
	return ""
}

// line is a callback in the terms of the recordings.
type line struct {
	event, namespace, room, body string
	local, forced                bool
}

// checkFrames compares the sent frames with the table, if the conversation is
// in it; else nothing may be left over.
func (p *player) checkFrames() {
	for name, e := range p.ends {
		if p.difference == nil || p.difference.frames == nil {
			for _, extra := range e.queue {
				p.t.Errorf("%s: sent %q too, want nothing more", name, extra)
			}
			continue
		}
		if want := p.difference.frames[name]; !slices.Equal(e.sent, want) {
			p.t.Errorf("%s: sent %q, want %q (%s)", name, e.sent, want, p.difference.reason)
		}
	}
}

func (p *player) checkCallbacks() {
	recorded := p.conversation.ServerCallbacks
	if p.side == golden.Client {
		recorded = p.conversation.ClientCallbacks
	}
	want := p.translate(recorded)
	if p.difference != nil && p.difference.callbacks != nil {
		want = p.difference.callbacks
	}
	if recorded == nil && (p.difference == nil || p.difference.callbacks == nil) {
		return
	}
	var got []string
	for _, l := range p.log {
		got = append(got, p.normal(l))
	}
	if !slices.Equal(got, want) {
		p.t.Errorf("callbacks\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// recordsItsEnd reports whether the client's log goes beyond its own going
// away; in most recordings it was read before.
func (p *player) recordsItsEnd() bool {
	return slices.ContainsFunc(p.conversation.ClientCallbacks, func(callback golden.Callback) bool {
		return callback.Event == wire.EventNamespaceDisconnect && callback.Has("forced")
	})
}

func (p *player) translate(recorded []golden.Callback) []string {
	var lines []string
	for _, callback := range recorded {
		if callback.Event == "" {
			continue
		}
		l := line{
			event: callback.Event, namespace: callback.Namespace, room: callback.Room,
			local: callback.Has("local"), forced: callback.Has("forced"),
		}
		if !callback.Has("binary") && !strings.Contains(string(callback.Body), "(60000 bytes)") {
			l.body = string(callback.Body)
		}
		lines = append(lines, p.normal(l))
	}
	return lines
}

// normal writes a line without what differs between the recorded ends: the
// bodies of system events, and whether leaving is local, which neffos does not
// say for a leave, and neffos.js says wrongly for a forced one.
func (p *player) normal(l line) string {
	if wire.IsSystemEvent([]byte(l.event)) && l.event != wire.EventNativeMessage {
		l.body = ""
	}
	leave := l.event == wire.EventRoomLeave || l.event == wire.EventRoomLeft
	if leave && (!l.forced || p.side == golden.Client) {
		l.local = false
	}
	text := fmt.Sprintf("%s %q %q %q", l.event, l.namespace, l.room, l.body)
	if l.local {
		text += " local"
	}
	if l.forced {
		text += " forced"
	}
	return text
}

// place is the simplest namespace and room.
type place struct{ name string }

func (p *place) Name() string { return p.name }
