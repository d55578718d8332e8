package node_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// registrations are all On methods, each with a handler and without.
var registrations = map[string]func(n *node.Node, ns *node.Namespace, isNil bool){
	"node accept": func(n *node.Node, _ *node.Namespace, isNil bool) {
		n.OnAccept(unless(isNil, func(context.Context, *node.Accept) error { return nil }))
	},
	"node opened": func(n *node.Node, _ *node.Namespace, isNil bool) {
		n.OnOpened(unless(isNil, func(context.Context, *node.OpenedEvent) {}))
	},
	"node closed": func(n *node.Node, _ *node.Namespace, isNil bool) {
		n.OnClosed(unless(isNil, func(context.Context, *node.ClosedEvent) {}))
	},
	"node native": func(n *node.Node, _ *node.Namespace, isNil bool) {
		n.OnNative(unless(isNil, func(context.Context, *node.NativeEvent) error { return nil }))
	},
	"connect": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnConnect(unless(isNil, func(context.Context, *node.ConnectRequest) error { return nil }))
	},
	"connected": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnConnected(unless(isNil, func(context.Context, *node.ConnectedEvent) {}))
	},
	"disconnected": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnDisconnected(unless(isNil, func(context.Context, *node.DisconnectedEvent) {}))
	},
	"join": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnJoin(unless(isNil, func(context.Context, *node.JoinRequest) error { return nil }))
	},
	"joined": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnJoined(unless(isNil, func(context.Context, *node.JoinedEvent) {}))
	},
	"leave": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnLeave(unless(isNil, func(context.Context, *node.LeaveRequest) error { return nil }))
	},
	"left": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnLeft(unless(isNil, func(context.Context, *node.LeftEvent) {}))
	},
	"emit":      func(_ *node.Node, ns *node.Namespace, isNil bool) { ns.OnEmit("e", unless(isNil, ignoreEmit)) },
	"any emit":  func(_ *node.Node, ns *node.Namespace, isNil bool) { ns.OnAnyEmit(unless(isNil, ignoreEmit)) },
	"ask":       func(_ *node.Node, ns *node.Namespace, isNil bool) { ns.OnAsk("e", unless(isNil, echoBody)) },
	"any ask":   func(_ *node.Node, ns *node.Namespace, isNil bool) { ns.OnAnyAsk(unless(isNil, echoBody)) },
	"relay":     func(_ *node.Node, ns *node.Namespace, isNil bool) { ns.OnRelay("e", unless(isNil, ignoreRelay)) },
	"any relay": func(_ *node.Node, ns *node.Namespace, isNil bool) { ns.OnAnyRelay(unless(isNil, ignoreRelay)) },
}

// relayAll is every message that can be relayed.
const relayAll = node.RelayRooms | node.RelayNamespace | node.RelayAsks

func ignoreEmit(context.Context, *node.EmitEvent) error { return nil }

func ignoreRelay(context.Context, *node.RelayRequest) error { return nil }

// echoBody answers an ask with its body.
func echoBody(_ context.Context, r *node.AskRequest) error { r.Reply(r.Body); return nil }

func unless[H any](isNil bool, h H) H {
	var none H
	if isNil {
		return none
	}
	return h
}

// panicOf returns what a call panics with, "" if it does not.
func panicOf(call func()) (text string) {
	defer func() {
		if cause := recover(); cause != nil {
			text = fmt.Sprint(cause)
		}
	}()
	call()
	return ""
}

func TestRegister(t *testing.T) {
	for name, register := range registrations {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, nil)
			ns := n.Namespace("chat", node.NamespaceOptions{})
			if got := panicOf(func() { register(n, ns, true) }); !strings.Contains(got, "nil") {
				t.Errorf("nil: panic %q, want one that says so", got)
			}
			if got := panicOf(func() { register(n, ns, false) }); got != "" {
				t.Errorf("the first handler: panic %q, want none", got)
			}
			second := panicOf(func() { register(n, ns, false) })
			if name == "node accept" { // a chain
				if second != "" {
					t.Errorf("a second handler: panic %q, want none", second)
				}
			} else if !strings.Contains(second, "already") {
				t.Errorf("a second handler: panic %q, want one that says that there is one already", second)
			}
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRegisterTooLate(t *testing.T) {
	var declared *node.Namespace
	n := startHandling(t, nil, func(n *node.Node) { declared = n.Namespace("chat", node.NamespaceOptions{}) })
	for name, register := range registrations {
		if got := panicOf(func() { register(n, declared, false) }); !strings.Contains(got, "started") {
			t.Errorf("%s: panic %q, want one that says that the node has started", name, got)
		}
	}
	for _, name := range []string{"unknown", "chat"} {
		got := panicOf(func() { n.Namespace(name, node.NamespaceOptions{}) })
		if !strings.Contains(got, strconv.Quote(name)) || !strings.Contains(got, "started") {
			t.Errorf("Namespace(%s): panic %q, want one that names it and says that the node has started", name, got)
		}
	}
	if got := n.LookupNamespace("chat"); got != declared {
		t.Errorf("LookupNamespace(chat) = %p after the start, want the declared %p", got, declared)
	}
}

// A system event is one of the protocol itself; a handler of it would never be
// called.
func TestRegisterSystemEvent(t *testing.T) {
	n := newNode(t, nil)
	defer func() { _ = n.Close() }()
	ns := n.Namespace("chat", node.NamespaceOptions{})
	for kind, register := range map[string]func(event string){
		"emit":  func(event string) { ns.OnEmit(event, ignoreEmit) },
		"ask":   func(event string) { ns.OnAsk(event, echoBody) },
		"relay": func(event string) { ns.OnRelay(event, ignoreRelay) },
	} {
		for _, event := range []string{wire.EventRoomJoin, wire.EventNamespaceConnected, wire.EventRoomLeft} {
			got := panicOf(func() { register(event) })
			if !strings.Contains(got, kind+" "+strconv.Quote(event)) || !strings.Contains(got, "system event") {
				t.Errorf("%s of %s: panic %q, want one that names both", kind, event, got)
			}
		}
		if got := panicOf(func() { register("_OnRoomParty") }); got != "" {
			t.Errorf("%s of an event that only looks like one: panic %q, want none", kind, got)
		}
	}
}

func TestLookupNamespace(t *testing.T) {
	n := newNode(t, nil)
	defer func() { _ = n.Close() }()
	declared := n.Namespace("chat", node.NamespaceOptions{})
	if got := n.LookupNamespace("chat"); got != declared || got.Name() != "chat" {
		t.Errorf("LookupNamespace(chat) = %p, want the declared %p", got, declared)
	}
	if got := n.LookupNamespace("default"); got == nil || got.Name() != "default" {
		t.Errorf("LookupNamespace(default) = %+v, want the one of the configuration", got)
	}
	if got := n.LookupNamespace("unknown"); got != nil {
		t.Errorf("LookupNamespace(unknown) = %+v, want nil", got)
	}
}

func TestDeclareTwice(t *testing.T) {
	n := newNode(t, nil)
	defer func() { _ = n.Close() }()
	n.Namespace("chat", node.NamespaceOptions{})
	for _, name := range []string{"chat", "default"} {
		got := panicOf(func() { n.Namespace(name, node.NamespaceOptions{}) })
		if !strings.Contains(got, strconv.Quote(name)) || !strings.Contains(got, "declared already") {
			t.Errorf("Namespace(%s): panic %q, want one that names it and says that it is declared", name, got)
		}
	}
}

func TestNamespaceOptions(t *testing.T) {
	tests := map[string]struct {
		options node.NamespaceOptions
		want    string // part of the panic; empty: none
	}{
		"nothing":           {node.NamespaceOptions{}, ""},
		"everything":        {node.NamespaceOptions{Relay: relayAll, MaxHandlers: 1}, ""},
		"rooms":             {node.NamespaceOptions{Relay: node.RelayRooms}, ""},
		"namespace":         {node.NamespaceOptions{Relay: node.RelayNamespace}, ""},
		"asks":              {node.NamespaceOptions{Relay: node.RelayAsks}, ""},
		"unknown relay":     {node.NamespaceOptions{Relay: 1 << 3}, "Relay 8 is unknown"},
		"unknown and known": {node.NamespaceOptions{Relay: relayAll | 1<<7}, "Relay 135 is unknown"},
		"negative handlers": {node.NamespaceOptions{MaxHandlers: -1}, "MaxHandlers -1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, nil)
			defer func() { _ = n.Close() }()
			got := panicOf(func() { n.Namespace("chat", test.options) })
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("panic %q, want %q", got, test.want)
			}
			if declared := n.LookupNamespace("chat") != nil; declared != (test.want == "") {
				t.Errorf("declared: %t, want the opposite", declared)
			}
			other, err := node.New(node.Config{Namespaces: map[string]node.NamespaceOptions{"chat": test.options}})
			if err == nil {
				defer func() { _ = other.Close() }()
			}
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("New: %v, want %q", err, test.want)
			}
		})
	}
}
