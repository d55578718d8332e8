package client

import (
	"fmt"
	"sync"

	"github.com/stoa-io/stoa/wire"
)

// Namespace declares a namespace with its handlers. The zero value has none.
// Register them before Dial: the methods panic afterwards, for a nil handler,
// for a second handler of the same kind and event, and for a system event.
// Several Conns, and several names, may share one Namespace.
//
// All handlers of one Conn, and Options.OnState, run one after the other, in
// the order of what happened, on a goroutine of their own; see the package
// comment.
//
// Namespaces and rooms that are restored after a lost connection stay the same,
// and of the handlers only OnHistoryGap and OnPresence may be called for them.
// So OnDisconnected is called exactly once for each call of OnConnected, and
// OnLeft for each of OnJoined.
type Namespace struct {
	mu    sync.Mutex
	inUse bool // guarded by mu; a Conn has it, and its handlers do not change any more

	// The rest is guarded by mu until inUse is set, then immutable.

	connect      ConnectHandler
	connected    ConnectedHandler
	disconnected DisconnectedHandler
	join         JoinHandler
	joined       JoinedHandler
	left         LeftHandler
	gap          HistoryGapHandler
	removed      HistoryRemovedHandler
	presence     PresenceHandler
	emits        map[string]EmitHandler
	anyEmit      EmitHandler
	asks         map[string]AskHandler
	anyAsk       AskHandler
}

// use marks the namespace as used by a Conn.
func (ns *Namespace) use() {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	ns.inUse = true
}

// change alters the handlers before the namespace is in use.
func (ns *Namespace) change(alter func()) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.inUse {
		panic("client: handlers must be registered before Dial")
	}
	alter()
}

// register stores the handler of one kind.
func register[H any](ns *Namespace, kind string, field *H, handler H, isNil, taken bool) {
	ns.change(func() {
		switch {
		case isNil:
			panic(fmt.Sprintf("client: the handler of %s is nil", kind))
		case taken:
			panic(fmt.Sprintf("client: %s has a handler already", kind))
		}
		*field = handler
	})
}

// registerEvent stores the handler of one event.
func registerEvent[H any](ns *Namespace, kind, event string, table *map[string]H, handler H, isNil bool) {
	ns.change(func() {
		if isNil {
			panic(fmt.Sprintf("client: the handler of %s %q is nil", kind, event))
		}
		if wire.IsSystemEvent([]byte(event)) {
			panic(fmt.Sprintf("client: %s %q: a system event has no handler", kind, event))
		}
		if _, taken := (*table)[event]; taken {
			panic(fmt.Sprintf("client: %s %q has a handler already", kind, event))
		}
		if *table == nil {
			*table = make(map[string]H)
		}
		(*table)[event] = handler
	})
}

// OnConnect registers the handler that decides whether the server may connect
// the client to the namespace. Without one it may.
func (ns *Namespace) OnConnect(handler ConnectHandler) {
	register(ns, "connect", &ns.connect, handler, handler == nil, ns.connect != nil)
}

// OnConnected registers the handler that is notified when the namespace is
// connected, by the server or by this side.
func (ns *Namespace) OnConnected(handler ConnectedHandler) {
	register(ns, "connected", &ns.connected, handler, handler == nil, ns.connected != nil)
}

// OnDisconnected registers the handler that is notified when the namespace is
// no longer connected, after OnLeft for each room.
func (ns *Namespace) OnDisconnected(handler DisconnectedHandler) {
	register(ns, "disconnected", &ns.disconnected, handler, handler == nil, ns.disconnected != nil)
}

// OnJoin registers the handler that decides whether the server may join the
// client to a room. Without one it may.
func (ns *Namespace) OnJoin(handler JoinHandler) {
	register(ns, "join", &ns.join, handler, handler == nil, ns.join != nil)
}

// OnJoined registers the handler that is notified when a room is joined, by the
// server or by this side. It runs before the handlers of the room's messages.
func (ns *Namespace) OnJoined(handler JoinedHandler) {
	register(ns, "joined", &ns.joined, handler, handler == nil, ns.joined != nil)
}

// OnLeft registers the handler that is notified when a room is no longer
// joined.
func (ns *Namespace) OnLeft(handler LeftHandler) {
	register(ns, "left", &ns.left, handler, handler == nil, ns.left != nil)
}

// OnHistoryGap registers the handler that is notified when messages of a room
// are missing, after a reconnect or because the server has lost them. It is not
// called for JoinRoomWith; see Room.Recovered.
func (ns *Namespace) OnHistoryGap(handler HistoryGapHandler) {
	register(ns, "history gap", &ns.gap, handler, handler == nil, ns.gap != nil)
}

// OnHistoryRemoved registers the handler that is notified when messages were
// removed from the history of a room.
func (ns *Namespace) OnHistoryRemoved(handler HistoryRemovedHandler) {
	register(ns, "history removed", &ns.removed, handler, handler == nil, ns.removed != nil)
}

// OnPresence registers the handler that is notified when members have joined or
// left a room. Servers report that only to Conns with such a handler, and only
// in namespaces with presence. After a reconnect the handler is called for each
// restored room, with PresenceEvent.Stale. See Roster.
func (ns *Namespace) OnPresence(handler PresenceHandler) {
	register(ns, "presence", &ns.presence, handler, handler == nil, ns.presence != nil)
}

// OnEmit registers the handler of an event that the server, or a member of a
// room, emits.
func (ns *Namespace) OnEmit(event string, handler EmitHandler) {
	registerEvent(ns, "emit", event, &ns.emits, handler, handler == nil)
}

// OnAnyEmit registers the handler of all emits whose event has no handler.
func (ns *Namespace) OnAnyEmit(handler EmitHandler) {
	register(ns, "any emit", &ns.anyEmit, handler, handler == nil, ns.anyEmit != nil)
}

// OnAsk registers the handler that answers an event. An ask without a handler
// is answered with wire.ErrUnhandled.
func (ns *Namespace) OnAsk(event string, handler AskHandler) {
	registerEvent(ns, "ask", event, &ns.asks, handler, handler == nil)
}

// OnAnyAsk registers the handler that answers all asks whose event has no
// handler.
func (ns *Namespace) OnAnyAsk(handler AskHandler) {
	register(ns, "any ask", &ns.anyAsk, handler, handler == nil, ns.anyAsk != nil)
}

// emit returns the handler of an emit, or nil.
func (ns *Namespace) emit(event string) EmitHandler {
	if found, ok := ns.emits[event]; ok {
		return found
	}
	return ns.anyEmit
}

// ask returns the handler of an ask, or nil.
func (ns *Namespace) ask(event string) AskHandler {
	if found, ok := ns.asks[event]; ok {
		return found
	}
	return ns.anyAsk
}
