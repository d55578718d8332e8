package node

import (
	"fmt"
	"maps"
	"sync/atomic"
	"unicode/utf8"

	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/wire"
)

// Relay is a set of the messages that a namespace passes on to other clients
// without any handler.
type Relay uint8

// The messages that can be relayed.
const (
	// RelayRooms passes an emit with a room on to the room's other members, on
	// every node. An event that has a handler of its own (OnEmit) is not
	// relayed.
	RelayRooms Relay = 1 << iota
	// RelayNamespace passes an emit without a room on to the namespace's other
	// connections.
	RelayNamespace
	// RelayAsks passes an ask with a room on to the room's other members, on
	// every node. The first answer returns to the asking client.
	RelayAsks

	relayAll = 1<<iota - 1
)

// SlowConsumer is a namespace's policy for members that do not read its
// deliveries fast enough.
type SlowConsumer uint8

// The policies for slow consumers. The zero value is SlowClose.
const (
	// SlowClose slows the senders down, and then closes the connection; see
	// Limits.SendQueue.
	SlowClose SlowConsumer = iota
	// SlowDrop drops deliveries of the namespace and its rooms to a connection
	// whose send queue has exceeded Limits.SendQueue, until half of it is free,
	// and slows no sender down. Answers, asks and messages for this connection
	// alone are still sent. It fits values that the next one replaces: the
	// protocol of neffos has no message for a gap, so a client cannot know that
	// it has missed some. In a room with a history, clients of Stoa have notice
	// of the gap. The connection is closed when its socket takes nothing for
	// Timeouts.Write, when the frames for it alone exceed the limit, too, or
	// for deliveries of another namespace with SlowClose.
	SlowDrop

	slowPolicies
)

// String returns the policy as one lower-case word.
func (p SlowConsumer) String() string {
	return [...]string{"close", "drop", "unknown"}[min(p, slowPolicies)]
}

// NamespaceOptions configures a namespace. The zero value relays nothing, and
// lets every client connect and join rooms.
type NamespaceOptions struct {
	// Relay is the set of messages that are relayed.
	Relay Relay
	// Access says which clients may connect, join, emit and ask. By default
	// everyone may.
	Access Access
	// Rooms is a rule for the names of the rooms that clients join; by default
	// there is none. A join that breaks it is refused with wire.ErrForbidden.
	Rooms RoomNames
	// MaxMessage is the size of the largest emit or ask of a client in bytes,
	// names included, at most Limits.Message. A larger one is refused with
	// wire.ErrTooBig, and the connection stays. Zero means Limits.Message,
	// beyond which the connection is closed.
	MaxMessage int
	// MembersPerRoom is how many members each room may have on this node, those
	// of other nodes not included. A client's join beyond it is refused with
	// wire.ErrRoomFull; the application may exceed it. Zero means no limit.
	MembersPerRoom int
	// MaxHandlers is how many handlers of the namespace may run at the same
	// time on this node. Further calls are queued and have no goroutine. Zero
	// means no limit.
	MaxHandlers int
	// SlowConsumer is the policy for members that do not read fast enough;
	// SlowClose by default.
	SlowConsumer SlowConsumer
	// History says how much of the history of each room is kept; by default
	// nothing. It needs a broker that keeps history (cluster.Historian), and
	// cannot change while the node runs.
	History HistoryOptions
	// Presence says what the members of a room learn about each other; by
	// default nothing. It cannot change while the node runs.
	Presence Presence
}

// validate reports options that cannot be used.
func (o *NamespaceOptions) validate(name string, limits *Limits) []error {
	var errs []error
	if !utf8.ValidString(name) {
		errs = append(errs, fmt.Errorf("node: namespace %q: the name is not valid UTF-8", name))
	}
	if field := o.Access.unknown(); field != "" {
		errs = append(errs, fmt.Errorf("node: namespace %q: Access.%s is unknown", name, field))
	}
	if _, err := o.Rooms.compile(); err != nil {
		errs = append(errs, fmt.Errorf("node: namespace %q: %w", name, err))
	}
	if o.MaxMessage < 0 || limits.Message > 0 && o.MaxMessage > limits.Message {
		errs = append(errs, fmt.Errorf("node: namespace %q: MaxMessage %d: want 0 to Limits.Message, which is %d", name, o.MaxMessage, limits.Message))
	}
	if o.MembersPerRoom < 0 {
		errs = append(errs, fmt.Errorf("node: namespace %q: MembersPerRoom %d: want 0 or more", name, o.MembersPerRoom))
	}
	if o.Relay&^relayAll != 0 {
		errs = append(errs, fmt.Errorf("node: namespace %q: Relay %d is unknown", name, o.Relay))
	}
	if o.SlowConsumer >= slowPolicies {
		errs = append(errs, fmt.Errorf("node: namespace %q: SlowConsumer %d is unknown", name, o.SlowConsumer))
	}
	if err := o.History.validate(limits); err != nil {
		errs = append(errs, fmt.Errorf("node: namespace %q: %w", name, err))
	}
	if o.Presence >= presenceKinds {
		errs = append(errs, fmt.Errorf("node: namespace %q: Presence %d is unknown", name, o.Presence))
	}
	if o.MaxHandlers < 0 {
		errs = append(errs, fmt.Errorf("node: namespace %q: MaxHandlers %d: want 0 or more", name, o.MaxHandlers))
	}
	return errs
}

// Namespace is a declared namespace: its options and the application's
// handlers. Register handlers before the node starts: the methods panic
// afterwards, for a nil handler, for a second handler of the same kind and
// event, and for a system event, as all of these are mistakes of the
// application.
//
// All handlers of one connection run one after the other, in the order of the
// client's messages, on a goroutine of their own that exists only while there
// is something to handle. See the package comment.
type Namespace struct {
	node     *Node
	name     string
	policy   atomic.Pointer[policy]
	history  *hub.History          // of the rooms; immutable, nil if they have none
	presence Presence              // immutable
	denied   *[rules]atomic.Uint64 // on its own, as it changes more often than the rest
	handlers namespaceHandlers
}

// namespaceHandlers do not change once the node has started.
type namespaceHandlers struct {
	connect      ConnectHandler
	connected    ConnectedHandler
	disconnected DisconnectedHandler
	join         JoinHandler
	joined       JoinedHandler
	leave        LeaveHandler
	left         LeftHandler
	emits        map[string]eventHandler[EmitHandler]
	asks         map[string]eventHandler[AskHandler]
	relays       map[string]eventHandler[RelayHandler]
	anyEmit      EmitHandler
	anyAsk       AskHandler
	anyRelay     RelayHandler
	any          bool // there is at least one
}

// membership reports whether a handler is about membership of the namespace or
// its rooms.
func (h *namespaceHandlers) membership() bool {
	return h.connected != nil || h.disconnected != nil || h.join != nil || h.joined != nil || h.leave != nil || h.left != nil
}

// relayHandler returns the handler that sees a message before it is relayed,
// nil if there is none.
func (h *namespaceHandlers) relayHandler(name []byte) (event string, handler RelayHandler) {
	if !h.any {
		return "", nil
	}
	if found, ok := h.relays[string(name)]; ok {
		return found.event, found.handler
	}
	if h.anyRelay != nil {
		return string(name), h.anyRelay
	}
	return "", nil
}

// eventHandler is a handler with the name of its event, so that a message of it
// needs no copy of the name.
type eventHandler[H any] struct {
	event   string
	handler H
}

// Namespace declares a namespace. A namespace that is not declared does not
// exist; one that is declared without options and handlers can be connected to,
// and nothing more. It panics if the namespace is declared already, if the
// options cannot be used, and after the start of the node.
func (n *Node) Namespace(name string, o NamespaceOptions) *Namespace {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hasStarted() {
		panic(fmt.Sprintf("node: namespace %q: the node has started", name))
	}
	if n.table()[name] != nil {
		panic(fmt.Sprintf("node: namespace %q is declared already; see LookupNamespace", name))
	}
	if errs := o.validate(name, &n.config.Limits); len(errs) > 0 {
		panic(errs[0].Error())
	}
	return n.declare(name, o)
}

// LookupNamespace returns a declared namespace, such as one of
// Config.Namespaces, nil if there is none of the name.
func (n *Node) LookupNamespace(name string) *Namespace {
	return n.table()[name]
}

// table returns the namespaces by name. It must not be changed.
func (n *Node) table() map[string]*Namespace { return *n.namespaces.Load() }

// declare adds a namespace. It is called before the node starts, with mu held
// or before the node is shared.
func (n *Node) declare(name string, o NamespaceOptions) *Namespace {
	ns := &Namespace{
		node: n, name: name, denied: new([rules]atomic.Uint64), history: o.History.hub(&n.config.Limits), presence: o.Presence,
	}
	ns.policy.Store(newPolicy(o, nil))
	table := maps.Clone(n.table())
	table[name] = ns
	n.namespaces.Store(&table)
	return ns
}

// Name returns the namespace's name.
func (ns *Namespace) Name() string { return ns.name }

// change alters the handlers before the node starts.
func (ns *Namespace) change(alter func(*namespaceHandlers)) {
	ns.node.mu.Lock()
	defer ns.node.mu.Unlock()
	if ns.node.hasStarted() {
		panic(fmt.Sprintf("node: namespace %q: the node has started", ns.name))
	}
	alter(&ns.handlers)
}

// register stores the handler of one kind.
func register[H any](ns *Namespace, kind string, handler H, isNil bool, field func(*namespaceHandlers) (*H, bool)) {
	ns.change(func(h *namespaceHandlers) {
		stored, taken := field(h)
		switch {
		case isNil:
			panic(fmt.Sprintf("node: namespace %q: the handler of %s is nil", ns.name, kind))
		case taken:
			panic(fmt.Sprintf("node: namespace %q: %s has a handler already", ns.name, kind))
		}
		*stored, h.any = handler, true
	})
}

// registerEvent stores the handler of one event.
func registerEvent[H any](ns *Namespace, kind, event string, handler H, isNil bool, table func(*namespaceHandlers) *map[string]eventHandler[H]) {
	ns.change(func(h *namespaceHandlers) {
		events := table(h)
		if isNil {
			panic(fmt.Sprintf("node: namespace %q: the handler of %s %q is nil", ns.name, kind, event))
		}
		if wire.IsSystemEvent([]byte(event)) {
			panic(fmt.Sprintf("node: namespace %q: %s %q: a system event has no handler", ns.name, kind, event))
		}
		if _, taken := (*events)[event]; taken {
			panic(fmt.Sprintf("node: namespace %q: %s %q has a handler already", ns.name, kind, event))
		}
		grown := maps.Clone(*events)
		if grown == nil {
			grown = make(map[string]eventHandler[H])
		}
		grown[event] = eventHandler[H]{event, handler}
		*events, h.any = grown, true
	})
}

// OnConnect registers the handler that decides whether a client may connect to
// the namespace. Without one it may.
func (ns *Namespace) OnConnect(h ConnectHandler) {
	register(ns, "connect", h, h == nil, func(all *namespaceHandlers) (*ConnectHandler, bool) { return &all.connect, all.connect != nil })
}

// OnConnected registers the handler that is notified of a connection that was
// connected to the namespace.
func (ns *Namespace) OnConnected(h ConnectedHandler) {
	register(ns, "connected", h, h == nil, func(all *namespaceHandlers) (*ConnectedHandler, bool) { return &all.connected, all.connected != nil })
}

// OnDisconnected registers the handler that is notified of a connection that is
// no longer connected to the namespace: exactly once for each OnConnected,
// after OnLeft for each of its rooms.
func (ns *Namespace) OnDisconnected(h DisconnectedHandler) {
	register(ns, "disconnected", h, h == nil, func(all *namespaceHandlers) (*DisconnectedHandler, bool) {
		return &all.disconnected, all.disconnected != nil
	})
}

// OnJoin registers the handler that decides whether a client may join a room.
// Without one it may. It is not called for joins that the application itself
// asks for (NSConn.JoinRoom).
func (ns *Namespace) OnJoin(h JoinHandler) {
	register(ns, "join", h, h == nil, func(all *namespaceHandlers) (*JoinHandler, bool) { return &all.join, all.join != nil })
}

// OnJoined registers the handler that is notified of a connection that joined a
// room.
func (ns *Namespace) OnJoined(h JoinedHandler) {
	register(ns, "joined", h, h == nil, func(all *namespaceHandlers) (*JoinedHandler, bool) { return &all.joined, all.joined != nil })
}

// OnLeave registers the handler that decides whether a client may leave a room.
// Without one it may. It is not called when the client disconnects.
func (ns *Namespace) OnLeave(h LeaveHandler) {
	register(ns, "leave", h, h == nil, func(all *namespaceHandlers) (*LeaveHandler, bool) { return &all.leave, all.leave != nil })
}

// OnLeft registers the handler that is notified of a connection that is no
// longer in a room: exactly once for each OnJoined.
func (ns *Namespace) OnLeft(h LeftHandler) {
	register(ns, "left", h, h == nil, func(all *namespaceHandlers) (*LeftHandler, bool) { return &all.left, all.left != nil })
}

// OnEmit registers the handler of an event that clients emit.
func (ns *Namespace) OnEmit(event string, h EmitHandler) {
	registerEvent(ns, "emit", event, h, h == nil, func(all *namespaceHandlers) *map[string]eventHandler[EmitHandler] { return &all.emits })
}

// OnAnyEmit registers the handler of all emits whose event has no handler and
// that are not relayed.
func (ns *Namespace) OnAnyEmit(h EmitHandler) {
	register(ns, "any emit", h, h == nil, func(all *namespaceHandlers) (*EmitHandler, bool) { return &all.anyEmit, all.anyEmit != nil })
}

// OnAsk registers the handler that answers an event. An ask without a handler
// is answered with wire.ErrUnhandled.
func (ns *Namespace) OnAsk(event string, h AskHandler) {
	registerEvent(ns, "ask", event, h, h == nil, func(all *namespaceHandlers) *map[string]eventHandler[AskHandler] { return &all.asks })
}

// OnAnyAsk registers the handler that answers all asks whose event has no
// handler and that are not relayed.
func (ns *Namespace) OnAnyAsk(h AskHandler) {
	register(ns, "any ask", h, h == nil, func(all *namespaceHandlers) (*AskHandler, bool) { return &all.anyAsk, all.anyAsk != nil })
}

// OnRelay registers the handler that sees the messages of an event before they
// are relayed. It is called only for messages that NamespaceOptions.Relay
// names.
func (ns *Namespace) OnRelay(event string, h RelayHandler) {
	registerEvent(ns, "relay", event, h, h == nil, func(all *namespaceHandlers) *map[string]eventHandler[RelayHandler] { return &all.relays })
}

// OnAnyRelay registers the handler that sees all other messages before they are
// relayed.
func (ns *Namespace) OnAnyRelay(h RelayHandler) {
	register(ns, "any relay", h, h == nil, func(all *namespaceHandlers) (*RelayHandler, bool) { return &all.anyRelay, all.anyRelay != nil })
}
