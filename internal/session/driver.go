package session

import "github.com/stoa-io/stoa/wire"

// Namespace is what the driver keeps for a connected namespace. The session
// stores the value, compares it with ==, and hands it back; pointers fit.
type Namespace interface {
	// Name never changes, not even after the namespace was disconnected.
	Name() string
}

// Room is what the driver keeps for a joined room, like Namespace.
type Room interface {
	// Name never changes, not even after the room was left.
	Name() string
}

// Driver is the world around a session: the connection and the application. The
// session calls it from inside its own methods, on their goroutine.
//
// A callback may call any method of the session but Receive. One warning: an
// answer to the peer can leave after the callback that belongs to it (Joined on
// both sides, Left and Disconnected on a server). An ask from a callback
// overtakes that answer, and other implementations fail when they are asked to
// undo a change before they know of it; so ask after the callback.
type Driver interface {
	// Send puts a payload on the way to the peer. The bytes are valid during
	// the call only.
	Send(payload []byte, binary bool)
	// Hello reports, on a server, that the client said hello. Acknowledge or
	// Refuse is due, during the call or later.
	Hello()
	// Acknowledged reports, on a client, that the server accepted the
	// connection under this ID.
	Acknowledged(id string)
	// Refused reports, on a client, that the server refused the connection; the
	// session is closed. The text is the server's and may be empty.
	Refused(text string)
	// Request reports that the peer asks for something that the rules allow.
	// During the call the driver accepts or rejects it, or calls Defer and does
	// so later. A request that gets nothing of it is rejected.
	Request(r *Request)
	// Connected reports that a namespace is connected; local says that this
	// side asked for it.
	Connected(namespace Namespace, local bool)
	// Disconnected reports that a namespace is no longer connected, after Left
	// for each of its rooms. Forced: the connection has ended, or this side did
	// not wait for the peer to agree.
	Disconnected(namespace Namespace, local, forced bool)
	// Joined reports that a room is joined.
	Joined(namespace Namespace, room Room, local bool)
	// Left reports that a room is no longer joined. Forced: because its
	// namespace is being disconnected, the connection has ended, or this side
	// did not wait for the peer to agree.
	Left(namespace Namespace, room Room, local, forced bool)
	// Event reports an emit, an ask or a native message.
	Event(e *Event)
	// Answered reports the end of an ask of this side, exactly once for each.
	Answered(a *Answer)
}

// RefusalDriver is a Driver of a client that wants to know which of its emits
// with the no-op flag the server has refused.
type RefusalDriver interface {
	// EmitRefused reports one. m has the names of the emit, which are empty if
	// one was too long, and is valid during the call.
	EmitRefused(m *wire.Message, reason error)
}

// HistoryDriver is a Driver of a client that wants to know about changes of the
// history of joined rooms. The position is valid during the call.
type HistoryDriver interface {
	// HistoryGap reports that messages of the room may be missing before those
	// that follow. The position is the room's, nil if it is not known.
	HistoryGap(namespace Namespace, room Room, position []byte)
	// HistoryRemoved reports that the message with this position was removed
	// from the history; nil: all messages were.
	HistoryRemoved(namespace Namespace, room Room, position []byte)
}

// PresenceDriver is a Driver of a client that wants to know about joins and
// leaves of other members of its rooms.
type PresenceDriver interface {
	// PresenceChanged reports changes. The body is a wire.PresenceChange, and
	// valid during the call.
	PresenceChanged(namespace Namespace, room Room, body []byte)
}

// LimitDriver is a Driver that counts the messages of the peer beyond a limit.
type LimitDriver interface {
	// LimitExceeded reports one that is refused, with wire.ErrNameTooLong,
	// wire.ErrTooManyNamespaces or wire.ErrTooManyRooms.
	LimitExceeded(reason error)
}

// Kind is the kind of an ask or a request.
type Kind uint8

// The kinds. EventAsk is an ask that the peer's application answers.
const (
	Connect Kind = iota + 1
	Disconnect
	Join
	Leave
	EventAsk
	// Authenticate hands in a token; a client asks it, and a server decides.
	Authenticate
)

// String returns the kind as one lower-case word.
func (k Kind) String() string {
	switch k {
	case Connect:
		return "connect"
	case Disconnect:
		return "disconnect"
	case Join:
		return "join"
	case Leave:
		return "leave"
	case EventAsk:
		return "event"
	case Authenticate:
		return "authenticate"
	}
	return "invalid"
}

// event returns the name under which a system request travels.
func (k Kind) event() string {
	switch k {
	case Connect:
		return wire.EventNamespaceConnect
	case Disconnect:
		return wire.EventNamespaceDisconnect
	case Join:
		return wire.EventRoomJoin
	case Leave:
		return wire.EventRoomLeave
	case Authenticate:
		return wire.EventAuthenticate
	}
	return ""
}

// Request is a system request of the peer. It is valid during
// Driver.Request only; Defer returns a copy that lasts.
type Request struct {
	Kind Kind
	// Namespace is nil for Connect, as there is none yet, and Authenticate.
	Namespace Namespace
	// Room is nil unless Kind is Leave.
	Room Room
	// Message is the request as received.
	Message *wire.Message
	// Reply is the body of the positive answer. The driver may set it before it
	// accepts the request; without one the answer is the short one.
	Reply []byte
	// Recovery is that of a join with recovery, else nil. Message is as that of
	// a plain join.
	Recovery *Recovery

	// generation of the namespace; Join only.
	generation uint32
	progress   progress
}

// Recovery is the part of a join that is about the messages which the client
// has missed. The driver sets Answer before it accepts the request. After that
// it sends the Answer.Count messages, before any other message of the room.
type Recovery struct {
	wire.RecoveryRequest
	Answer wire.RecoveryAnswer
}

// progress of a request; a Request from anywhere else has none.
type progress uint8

const (
	offered progress = iota + 1
	deferred
	settled
)

// Event is an emit or an ask of the peer, or a native message. It is valid
// during Driver.Event only.
type Event struct {
	// Namespace is nil only for a native message without a namespace "".
	Namespace Namespace
	// Room is nil if the message names none, and on a client if the room it
	// names is not joined.
	Room Room
	// Message views Payload; Clone it to keep it.
	Message *wire.Message
	// Payload is the message as received.
	Payload []byte
	// Position is that of the emit in the history of its room, on a client; nil
	// if it has none. It views Payload.
	Position []byte
	// Native: Payload is no message; Message holds it as the body.
	Native bool
	// Volatile: the emit is worth nothing when it is late, on a server. The
	// token of Message is empty.
	Volatile bool
	// Reads: the client asks, on a server, for a part of the history of Room or
	// for its members, as the event of Message says. The body is that of
	// wire.ParseHistoryQuery, the answer a wire.HistoryPage; or that of
	// wire.ParsePresenceQuery, the answer a wire.PresencePage.
	Reads bool
	// Publish is not nil, on a server, if the client asks for the publication
	// of an emit, and for its position as the answer. It views Payload.
	Publish *wire.PublishRequest
}

// Name returns the event: of the emit, where Message asks for its publication.
func (e *Event) Name() []byte {
	if e.Publish != nil {
		return e.Publish.Event
	}
	return e.Message.Event
}

// Body returns the body that belongs to Name.
func (e *Event) Body() []byte {
	if e.Publish != nil {
		return e.Publish.Body
	}
	return e.Message.Body
}

// Size is the size of the message in bytes: as a plain emit, if it is one that
// is to be confirmed.
func (e *Event) Size() int {
	if e.Publish == nil {
		return len(e.Payload)
	}
	const separators = 2 // in the body
	return len(e.Payload) - len(e.Message.Token) - len(e.Message.Event) - len(e.Publish.ID) - separators
}

// Answer is the end of an ask of this side. It is valid during
// Driver.Answered only.
type Answer struct {
	// ID is what the Ask method returned. An ask that is answered without a
	// frame ends before the method returns.
	ID   uint64
	Kind Kind
	// Namespace and Room are those of the ask, unless it asked for something
	// that the peer brought about in the meantime: then they are the values in
	// use, and the session has no need for those given with the ask.
	Namespace Namespace
	Room      Room
	// Message is the answer as received; nil if none was. If Recovery is not
	// nil, the body is that of the application's answer.
	Message *wire.Message
	// Recovery is the answer about missed messages; nil unless the ask was
	// AskRecover and the server has understood it.
	Recovery *wire.RecoveryAnswer
	// Err is nil for a positive answer. It is an error of package wire for a
	// negative one, or what Cancel was given.
	Err error
}
