package node

import (
	"context"
	"fmt"
	"maps"

	"github.com/stoa-io/stoa/internal/taskqueue"
)

// NamespaceOptions says what a namespace allows without any handler.
type NamespaceOptions struct {
	// Relay passes what a member emits into a room on to the room's other
	// members, on every node. An event that has a handler of its own (OnEmit) is
	// not relayed.
	Relay bool
	// Broadcast passes what a connection emits without a room on to the
	// namespace's other connections. It needs Relay.
	Broadcast bool
	// Asks passes a client's ask with a room on to the room's other members, on
	// every node; the first answer goes back. It needs Relay.
	Asks bool
	// MaxHandlers is how many handlers of the namespace may run at the same time
	// on this node. Further calls are queued and have no goroutine. Zero means no
	// limit.
	MaxHandlers int
}

// validate reports options that contradict each other.
func (o *NamespaceOptions) validate(name string) []error {
	var errs []error
	if o.Broadcast && !o.Relay {
		errs = append(errs, fmt.Errorf("node: namespace %q: Broadcast needs Relay", name))
	}
	if o.Asks && !o.Relay {
		errs = append(errs, fmt.Errorf("node: namespace %q: Asks needs Relay", name))
	}
	if o.MaxHandlers < 0 {
		errs = append(errs, fmt.Errorf("node: namespace %q: MaxHandlers %d: want 0 or more", name, o.MaxHandlers))
	}
	return errs
}

// The handlers of a namespace. The context ends with the connection; where it is
// the connection's end that is handled, it ends when [Node.Shutdown] gives up
// waiting. The error of a handler that may refuse is told to the client, word for
// word.
type (
	// ConnectHandler decides whether a client may connect to the namespace. The
	// body is what the client sent along, often nil.
	ConnectHandler func(ctx context.Context, c *Conn, body []byte) error
	// NSConnHandler hears that a connection is connected to the namespace.
	NSConnHandler func(ctx context.Context, c *NSConn)
	// DisconnectedHandler hears that a connection is no longer connected to the
	// namespace; forced: because the connection has ended.
	DisconnectedHandler func(ctx context.Context, c *NSConn, forced bool)
	// JoinHandler decides whether a client may join a room.
	JoinHandler func(ctx context.Context, c *NSConn, room string) error
	// RoomHandler hears that a connection is in a room.
	RoomHandler func(ctx context.Context, r *Room)
	// LeaveHandler decides whether a client may leave a room. It is not asked
	// when the client disconnects.
	LeaveHandler func(ctx context.Context, r *Room) error
	// LeftHandler hears that a connection is no longer in a room; forced: because
	// its namespace was disconnected or the connection has ended.
	LeftHandler func(ctx context.Context, r *Room, forced bool)
	// EmitHandler handles what a client emits. Nobody waits for it: an error is
	// counted and logged. The message and its body are the handler's own.
	EmitHandler func(ctx context.Context, c *NSConn, m *Message) error
	// AskHandler answers what a client asks: with the body, in a frame of the
	// ask's type, or with the error's text.
	AskHandler func(ctx context.Context, c *NSConn, m *Message) ([]byte, error)
	// RelayHandler sees what is about to be relayed to others and may change its
	// event, body and frame type. An error refuses it; for an ask its text is the
	// answer.
	RelayHandler func(ctx context.Context, c *NSConn, m *Message) error
)

// Namespace is a declared namespace: what is allowed in it, and the program's
// handlers. It comes from [Node.Namespace] and is configured before the node
// starts; its methods panic afterwards, when they are given nil, and when a
// handler is registered twice, as all of these are mistakes of the program.
//
// All handlers of one connection run one after the other, in the order of what
// the client did, on a goroutine of their own that exists only while there is
// something to handle. See the package comment.
type Namespace struct {
	node     *Node
	name     string
	options  NamespaceOptions
	limit    *taskqueue.Limiter // nil: none
	handlers namespaceHandlers
}

// namespaceHandlers are the program's. They do not change once the node has
// started.
type namespaceHandlers struct {
	connect      ConnectHandler
	connected    NSConnHandler
	disconnected DisconnectedHandler
	join         JoinHandler
	joined       RoomHandler
	leave        LeaveHandler
	left         LeftHandler
	emits        map[string]named[EmitHandler]
	asks         map[string]named[AskHandler]
	relays       map[string]named[RelayHandler]
	anyEmit      EmitHandler
	anyAsk       AskHandler
	anyRelay     RelayHandler
	any          bool // there is at least one
}

// membership reports whether a handler hears who is in the namespace and its rooms.
func (h *namespaceHandlers) membership() bool {
	return h.connected != nil || h.disconnected != nil || h.join != nil || h.joined != nil || h.leave != nil || h.left != nil
}

// named is a handler with the name of its event, so that a message of it needs
// no copy of the name.
type named[H any] struct {
	event   string
	handler H
}

// Namespace returns the namespace of this name, and declares it if it is new. A
// namespace that is not declared does not exist. It panics when the node has
// started and has no such namespace.
func (n *Node) Namespace(name string) *Namespace {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ns := n.namespaces[name]; ns != nil {
		return ns
	}
	if n.hasStarted() {
		panic(fmt.Sprintf("node: namespace %q: the node has started", name))
	}
	return n.declare(name, NamespaceOptions{})
}

// declare adds a namespace. It is called before the node starts, with mu held.
func (n *Node) declare(name string, options NamespaceOptions) *Namespace {
	ns := &Namespace{node: n, name: name, options: options}
	if options.MaxHandlers > 0 {
		ns.limit = taskqueue.NewLimiter(options.MaxHandlers)
	}
	n.namespaces[name] = ns
	return ns
}

// Name returns the namespace's name.
func (ns *Namespace) Name() string { return ns.name }

// Configure sets the options and returns ns. It panics if they contradict each
// other.
func (ns *Namespace) Configure(options NamespaceOptions) *Namespace {
	ns.change(func(*namespaceHandlers) {
		if errs := options.validate(ns.name); len(errs) > 0 {
			panic(errs[0].Error())
		}
		ns.options, ns.limit = options, nil
		if options.MaxHandlers > 0 {
			ns.limit = taskqueue.NewLimiter(options.MaxHandlers)
		}
	})
	return ns
}

// change alters the declaration while that is allowed.
func (ns *Namespace) change(alter func(*namespaceHandlers)) {
	ns.node.mu.Lock()
	defer ns.node.mu.Unlock()
	if ns.node.hasStarted() {
		panic(fmt.Sprintf("node: namespace %q: the node has started", ns.name))
	}
	alter(&ns.handlers)
}

// register puts a handler into a field of the declaration.
func register[H any](ns *Namespace, what string, handler H, isNil bool, field func(*namespaceHandlers) (*H, bool)) {
	ns.change(func(h *namespaceHandlers) {
		slot, taken := field(h)
		switch {
		case isNil:
			panic(fmt.Sprintf("node: namespace %q: the handler of %s is nil", ns.name, what))
		case taken:
			panic(fmt.Sprintf("node: namespace %q: %s has a handler already", ns.name, what))
		}
		*slot, h.any = handler, true
	})
}

// registerEvent puts a handler into a table by event.
func registerEvent[H any](ns *Namespace, what, event string, handler H, isNil bool, table func(*namespaceHandlers) *map[string]named[H]) {
	ns.change(func(h *namespaceHandlers) {
		events := table(h)
		if isNil {
			panic(fmt.Sprintf("node: namespace %q: the handler of %s %q is nil", ns.name, what, event))
		}
		if _, taken := (*events)[event]; taken {
			panic(fmt.Sprintf("node: namespace %q: %s %q has a handler already", ns.name, what, event))
		}
		grown := maps.Clone(*events)
		if grown == nil {
			grown = make(map[string]named[H])
		}
		grown[event] = named[H]{event, handler}
		*events, h.any = grown, true
	})
}

// OnConnect registers who decides about connecting.
func (ns *Namespace) OnConnect(h ConnectHandler) {
	register(ns, "connect", h, h == nil, func(all *namespaceHandlers) (*ConnectHandler, bool) { return &all.connect, all.connect != nil })
}

// OnConnected registers who hears of a new connection in the namespace.
func (ns *Namespace) OnConnected(h NSConnHandler) {
	register(ns, "connected", h, h == nil, func(all *namespaceHandlers) (*NSConnHandler, bool) { return &all.connected, all.connected != nil })
}

// OnDisconnected registers who hears of the end of one: exactly once for each
// that was connected, after OnLeft for each of its rooms.
func (ns *Namespace) OnDisconnected(h DisconnectedHandler) {
	register(ns, "disconnected", h, h == nil, func(all *namespaceHandlers) (*DisconnectedHandler, bool) {
		return &all.disconnected, all.disconnected != nil
	})
}

// OnJoin registers who decides about joining a room. What the program itself
// asks a client to join (NSConn.JoinRoom) is not asked again.
func (ns *Namespace) OnJoin(h JoinHandler) {
	register(ns, "join", h, h == nil, func(all *namespaceHandlers) (*JoinHandler, bool) { return &all.join, all.join != nil })
}

// OnJoined registers who hears of a new member of a room.
func (ns *Namespace) OnJoined(h RoomHandler) {
	register(ns, "joined", h, h == nil, func(all *namespaceHandlers) (*RoomHandler, bool) { return &all.joined, all.joined != nil })
}

// OnLeave registers who decides about leaving a room.
func (ns *Namespace) OnLeave(h LeaveHandler) {
	register(ns, "leave", h, h == nil, func(all *namespaceHandlers) (*LeaveHandler, bool) { return &all.leave, all.leave != nil })
}

// OnLeft registers who hears of a member that is gone: exactly once for each
// that had joined.
func (ns *Namespace) OnLeft(h LeftHandler) {
	register(ns, "left", h, h == nil, func(all *namespaceHandlers) (*LeftHandler, bool) { return &all.left, all.left != nil })
}

// OnEmit registers who handles an event that clients emit.
func (ns *Namespace) OnEmit(event string, h EmitHandler) {
	registerEvent(ns, "emit", event, h, h == nil, func(all *namespaceHandlers) *map[string]named[EmitHandler] { return &all.emits })
}

// OnAnyEmit registers who handles every event that clients emit and that has
// neither a handler of its own nor is relayed.
func (ns *Namespace) OnAnyEmit(h EmitHandler) {
	register(ns, "any emit", h, h == nil, func(all *namespaceHandlers) (*EmitHandler, bool) { return &all.anyEmit, all.anyEmit != nil })
}

// OnAsk registers who answers an event that clients ask.
func (ns *Namespace) OnAsk(event string, h AskHandler) {
	registerEvent(ns, "ask", event, h, h == nil, func(all *namespaceHandlers) *map[string]named[AskHandler] { return &all.asks })
}

// OnAnyAsk registers who answers every event that clients ask and that has
// neither a handler of its own nor is relayed.
func (ns *Namespace) OnAnyAsk(h AskHandler) {
	register(ns, "any ask", h, h == nil, func(all *namespaceHandlers) (*AskHandler, bool) { return &all.anyAsk, all.anyAsk != nil })
}

// OnRelay registers who sees an event before it is relayed. The namespace must
// relay (see Configure), or there is nothing to see.
func (ns *Namespace) OnRelay(event string, h RelayHandler) {
	registerEvent(ns, "relay", event, h, h == nil, func(all *namespaceHandlers) *map[string]named[RelayHandler] { return &all.relays })
}

// OnAnyRelay registers who sees every event before it is relayed that has no
// handler of its own.
func (ns *Namespace) OnAnyRelay(h RelayHandler) {
	register(ns, "any relay", h, h == nil, func(all *namespaceHandlers) (*RelayHandler, bool) { return &all.anyRelay, all.anyRelay != nil })
}
