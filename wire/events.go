package wire

// The names of the system events (protocol.md section 5). The requests on the
// wire are EventNamespaceConnect, EventNamespaceDisconnect, EventRoomJoin,
// EventRoomLeave, and two of Stoa's own: EventAuthenticate, with which a client
// hands in a token (protocol.md section 13), and EventRoomRecover, a join with
// recovery (section 14). Without a token of the message, EventAuthenticate is
// the notice of a server that the client's identity is about to end.
//
// EventHistory is an ask for a part of a room's history, EventHistoryGap and
// EventHistoryRemoved are notices of a server (section 14). EventPresence is
// an ask for the members of a room, and, from a server, the notice that some
// have joined or left (section 15). EventRoomPublish is a confirmed emit: an
// ask that the server answers with the position of the message (section 16).
const (
	EventNamespaceConnect    = "_OnNamespaceConnect"
	EventNamespaceConnected  = "_OnNamespaceConnected"
	EventNamespaceDisconnect = "_OnNamespaceDisconnect"
	EventRoomJoin            = "_OnRoomJoin"
	EventRoomJoined          = "_OnRoomJoined"
	EventRoomLeave           = "_OnRoomLeave"
	EventRoomLeft            = "_OnRoomLeft"
	EventAny                 = "_OnAnyEvent"
	EventNativeMessage       = "_OnNativeMessage"
	EventAuthenticate        = "_OnAuthenticate"
	EventRoomRecover         = "_OnRoomRecover"
	EventHistory             = "_OnHistory"
	EventHistoryGap          = "_OnHistoryGap"
	EventHistoryRemoved      = "_OnHistoryRemoved"
	EventPresence            = "_OnPresence"
	EventRoomPublish         = "_OnRoomPublish"
)

// Kind says what a system request asks for.
type Kind uint8

// The kinds of requests. KindNone is any event that is not a request.
const (
	KindNone Kind = iota + 1
	KindConnect
	KindDisconnect
	KindJoin
	KindLeave
	KindAuthenticate
)

// String returns the kind as one lower-case word.
func (k Kind) String() string {
	switch k {
	case KindNone:
		return "none"
	case KindConnect:
		return "connect"
	case KindDisconnect:
		return "disconnect"
	case KindJoin:
		return "join"
	case KindLeave:
		return "leave"
	case KindAuthenticate:
		return "authenticate"
	}
	return "invalid"
}

// Event returns the name under which a request of this kind is sent; empty
// for a kind that is no request.
func (k Kind) Event() string {
	switch k {
	case KindConnect:
		return EventNamespaceConnect
	case KindDisconnect:
		return EventNamespaceDisconnect
	case KindJoin:
		return EventRoomJoin
	case KindLeave:
		return EventRoomLeave
	case KindAuthenticate:
		return EventAuthenticate
	}
	return ""
}

// SystemKind returns which request an event name stands for. EventRoomLeft
// counts as a leave: leaveAll of neffos.js sends it, with a token, where it
// means EventRoomLeave (protocol.md section 5, 7). EventRoomRecover is a join.
// Without a token none of them is a request; that is for the caller to see.
func SystemKind(event []byte) Kind {
	switch string(event) {
	case EventNamespaceConnect:
		return KindConnect
	case EventNamespaceDisconnect:
		return KindDisconnect
	case EventRoomJoin, EventRoomRecover:
		return KindJoin
	case EventRoomLeave, EventRoomLeft:
		return KindLeave
	case EventAuthenticate:
		return KindAuthenticate
	}
	return KindNone
}

// IsSystemEvent reports whether a name is one of the system events. No peer may
// send one of them as an ordinary event.
func IsSystemEvent(event []byte) bool {
	switch string(event) {
	case EventNamespaceConnect, EventNamespaceConnected, EventNamespaceDisconnect,
		EventRoomJoin, EventRoomJoined, EventRoomLeave, EventRoomLeft,
		EventAny, EventNativeMessage, EventAuthenticate,
		EventRoomRecover, EventHistory, EventHistoryGap, EventHistoryRemoved, EventPresence,
		EventRoomPublish:
		return true
	}
	return false
}
