package node_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// registrations are all On methods, each with a handler and without.
var registrations = map[string]func(n *node.Node, ns *node.Namespace, isNil bool){
	"node accept": func(n *node.Node, _ *node.Namespace, isNil bool) {
		n.OnAccept(unless(isNil, func(context.Context, *node.Accept) error { return nil }))
	},
	"node opened": func(n *node.Node, _ *node.Namespace, isNil bool) {
		n.OnOpened(unless(isNil, func(context.Context, *node.Conn) {}))
	},
	"node closed": func(n *node.Node, _ *node.Namespace, isNil bool) {
		n.OnClosed(unless(isNil, func(context.Context, *node.Conn, node.Closed) {}))
	},
	"node native": func(n *node.Node, _ *node.Namespace, isNil bool) {
		n.OnNative(unless(isNil, func(context.Context, *node.Conn, []byte, bool) error { return nil }))
	},
	"connect": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnConnect(unless(isNil, func(context.Context, *node.Conn, []byte) error { return nil }))
	},
	"connected": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnConnected(unless(isNil, func(context.Context, *node.NSConn) {}))
	},
	"disconnected": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnDisconnected(unless(isNil, func(context.Context, *node.NSConn, bool) {}))
	},
	"join": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnJoin(unless(isNil, func(context.Context, *node.NSConn, string) error { return nil }))
	},
	"joined": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnJoined(unless(isNil, func(context.Context, *node.Room) {}))
	},
	"leave": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnLeave(unless(isNil, func(context.Context, *node.Room) error { return nil }))
	},
	"left": func(_ *node.Node, ns *node.Namespace, isNil bool) {
		ns.OnLeft(unless(isNil, func(context.Context, *node.Room, bool) {}))
	},
	"emit":      func(_ *node.Node, ns *node.Namespace, isNil bool) { ns.OnEmit("e", unless(isNil, ignoreEmit)) },
	"any emit":  func(_ *node.Node, ns *node.Namespace, isNil bool) { ns.OnAnyEmit(unless(isNil, ignoreEmit)) },
	"ask":       func(_ *node.Node, ns *node.Namespace, isNil bool) { ns.OnAsk("e", unless(isNil, echoBody)) },
	"any ask":   func(_ *node.Node, ns *node.Namespace, isNil bool) { ns.OnAnyAsk(unless(isNil, echoBody)) },
	"relay":     func(_ *node.Node, ns *node.Namespace, isNil bool) { ns.OnRelay("e", unless(isNil, ignoreEmit)) },
	"any relay": func(_ *node.Node, ns *node.Namespace, isNil bool) { ns.OnAnyRelay(unless(isNil, ignoreEmit)) },
}

func ignoreEmit(context.Context, *node.NSConn, *node.Message) error { return nil }

// echoBody answers an ask with its body.
func echoBody(_ context.Context, _ *node.NSConn, m *node.Message) ([]byte, error) { return m.Body, nil }

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
			ns := n.Namespace("chat")
			if got := panicOf(func() { register(n, ns, true) }); !strings.Contains(got, "nil") {
				t.Errorf("nil: panic %q, want one that says so", got)
			}
			if got := panicOf(func() { register(n, ns, false) }); got != "" {
				t.Errorf("the first handler: panic %q, want none", got)
			}
			if got := panicOf(func() { register(n, ns, false) }); !strings.Contains(got, "already") {
				t.Errorf("a second handler: panic %q, want one that says that there is one already", got)
			}
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRegisterTooLate(t *testing.T) {
	var declared *node.Namespace
	n := startHandling(t, nil, func(n *node.Node) { declared = n.Namespace("chat") })
	for name, register := range registrations {
		if got := panicOf(func() { register(n, declared, false) }); !strings.Contains(got, "started") {
			t.Errorf("%s: panic %q, want one that says that the node has started", name, got)
		}
	}
	if got := panicOf(func() { declared.Configure(node.NamespaceOptions{}) }); !strings.Contains(got, "started") {
		t.Errorf("Configure: panic %q, want one that says that the node has started", got)
	}
	if got := panicOf(func() { n.Namespace("unknown") }); !strings.Contains(got, `"unknown"`) || !strings.Contains(got, "started") {
		t.Errorf("Namespace: panic %q, want one that names it and says that the node has started", got)
	}
	if got := n.Namespace("chat"); got != declared {
		t.Errorf("Namespace(chat) = %p after the start, want the declared %p", got, declared)
	}
	if got := n.Namespace("default").Name(); got != "default" {
		t.Errorf("a namespace of the configuration has the name %q", got)
	}
}

func TestConfigure(t *testing.T) {
	tests := map[string]struct {
		options node.NamespaceOptions
		want    string // part of the panic; empty: none
	}{
		"nothing":                 {node.NamespaceOptions{}, ""},
		"everything":              {node.NamespaceOptions{Relay: true, Broadcast: true, Asks: true, MaxHandlers: 1}, ""},
		"broadcast without relay": {node.NamespaceOptions{Broadcast: true}, "Broadcast needs Relay"},
		"asks without relay":      {node.NamespaceOptions{Asks: true}, "Asks needs Relay"},
		"negative handlers":       {node.NamespaceOptions{MaxHandlers: -1}, "MaxHandlers -1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, nil)
			defer func() { _ = n.Close() }()
			got := panicOf(func() {
				if ns := n.Namespace("chat"); ns.Configure(test.options) != ns {
					t.Error("Configure did not return its namespace")
				}
			})
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("panic %q, want %q", got, test.want)
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
