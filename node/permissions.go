package node

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/internal/taskqueue"
	"github.com/stoa-io/stoa/wire"
)

// Who names the clients that may do something.
type Who uint8

// The clients. The application itself may do everything.
const (
	// WhoAnyone: every client. The zero value.
	WhoAnyone Who = iota
	// WhoUser: clients that are authenticated (access.Identity.User).
	WhoUser
	// WhoPermitted: clients with a permission that allows it
	// (access.Identity.Permissions).
	WhoPermitted
	// WhoNobody allows no client.
	WhoNobody

	whoEnd
)

var whoNames = [...]string{"anyone", "user", "permitted", "none"}

// String returns the name as one lower-case word.
func (w Who) String() string {
	if w >= whoEnd {
		return "unknown"
	}
	return whoNames[w]
}

// ParseWho reads what String writes.
func ParseWho(name string) (Who, error) {
	for i, known := range whoNames {
		if name == known {
			return Who(i), nil
		}
	}
	return 0, fmt.Errorf("unknown clients %q: want one of %s", name, strings.Join(whoNames[:], ", "))
}

// Access says which clients may do what in a namespace. The zero value allows
// everything. To leave a room and to disconnect is always allowed.
//
// The error for the client is wire.ErrUnauthorized if it is not authenticated,
// else wire.ErrForbidden, both as a wire.DetailedError that names the missing
// permission. An emit has no answer; see protocol.md section 6, 13.
type Access struct {
	// Connect: connect to the namespace.
	Connect Who
	// Join: join a room.
	Join Who
	// Emit: emit in a room, for its members or for a handler.
	Emit Who
	// Ask: ask, in a room or without one.
	Ask Who
	// EmitNamespace: emit without a room, for all connections of the namespace
	// or for a handler.
	EmitNamespace Who
	// History: read the history of a room, and ask for its newest messages in a
	// join. The messages that a client has missed, and those of
	// HistoryOptions.OnJoin and LatestBy, are for all members.
	History Who
	// Presence: see the members of a room.
	Presence Who
}

// unknown returns the name of a field that is no Who, empty if there is none.
func (a *Access) unknown() string {
	for _, field := range []struct {
		name string
		who  Who
	}{{"Connect", a.Connect}, {"Join", a.Join}, {"Emit", a.Emit}, {"Ask", a.Ask}, {"EmitNamespace", a.EmitNamespace},
		{"History", a.History}, {"Presence", a.Presence}} {
		if field.who >= whoEnd {
			return field.name
		}
	}
	return ""
}

// RoomNames is a rule for the names of the rooms that clients join. Rooms that
// the application joins its clients to are not checked.
type RoomNames struct {
	// MaxLength is the length of the longest name in bytes; 0 is that of
	// Limits.Names.Room, which bounds every name.
	MaxLength int
	// Pattern is a regular expression (RE2, https://golang.org/s/re2syntax)
	// that matches the whole name, such as "[a-z0-9-]+"; empty matches every
	// name.
	Pattern string
}

// compile returns the pattern, nil for none.
func (r *RoomNames) compile() (*regexp.Regexp, error) {
	if r.MaxLength < 0 {
		return nil, fmt.Errorf("Rooms.MaxLength %d: want 0 or more", r.MaxLength)
	}
	if r.Pattern == "" {
		return nil, nil
	}
	// On its own first: "a)|(b" becomes valid in parentheses.
	if _, err := regexp.Compile(r.Pattern); err != nil {
		return nil, fmt.Errorf("Rooms.Pattern: %w", err)
	}
	return regexp.MustCompile(`\A(?:` + r.Pattern + `)\z`), nil
}

// Rule is a rule in the options of a namespace that a client can break.
type Rule uint8

// The rules.
const (
	RuleConnect       Rule = iota // NamespaceOptions.Access.Connect
	RuleJoin                      // NamespaceOptions.Access.Join
	RuleEmit                      // NamespaceOptions.Access.Emit
	RuleAsk                       // NamespaceOptions.Access.Ask
	RuleEmitNamespace             // NamespaceOptions.Access.EmitNamespace
	RuleHistory                   // NamespaceOptions.Access.History
	RulePresence                  // NamespaceOptions.Access.Presence
	RuleRoomName                  // NamespaceOptions.Rooms
	RuleMessageSize               // NamespaceOptions.MaxMessage
	RuleRoomFull                  // NamespaceOptions.MembersPerRoom
	rules
)

var ruleNames = [rules]string{"connect", "join", "emit", "ask", "emit_namespace", "history", "presence", "room_name", "message_size", "room_full"}

// String returns the rule in lower-case words joined by "_".
func (r Rule) String() string {
	if r >= rules {
		return "unknown"
	}
	return ruleNames[r]
}

// policy is the options of a namespace in the form that the loops use. It is
// immutable.
type policy struct {
	NamespaceOptions
	pattern *regexp.Regexp     // of Rooms; nil: every name
	joins   bool               // a rule is about joins
	events  bool               // a rule is about emits or asks
	limiter *taskqueue.Limiter // of handlers; nil: none
}

// newPolicy returns the policy for options that are valid. It follows another
// one, if that is not nil.
func newPolicy(o NamespaceOptions, before *policy) *policy {
	p := &policy{NamespaceOptions: o}
	switch {
	case o.MaxHandlers == 0:
	case before != nil && before.limiter != nil:
		p.limiter = before.limiter
		p.limiter.SetLimit(o.MaxHandlers)
	default:
		p.limiter = taskqueue.NewLimiter(o.MaxHandlers)
	}
	p.pattern, _ = o.Rooms.compile()
	a := &o.Access
	p.joins = a.Join != WhoAnyone || o.Rooms != RoomNames{}
	p.events = a.Emit|a.Ask|a.EmitNamespace != WhoAnyone || o.MaxMessage > 0
	return p
}

// has reports whether the options have a rule.
func (p *policy) has(r Rule) bool {
	switch r {
	case RuleRoomName:
		return p.Rooms != RoomNames{}
	case RuleMessageSize:
		return p.MaxMessage > 0
	case RuleRoomFull:
		return p.MembersPerRoom > 0
	}
	return p.who(r) != WhoAnyone
}

// who returns the clients that may do what a rule of Access is about.
func (p *policy) who(r Rule) Who {
	a := &p.Access
	return [...]Who{RuleConnect: a.Connect, RuleJoin: a.Join, RuleEmit: a.Emit, RuleAsk: a.Ask, RuleEmitNamespace: a.EmitNamespace,
		RuleHistory: a.History, RulePresence: a.Presence}[r]
}

// actions are those of a permission that a rule of Access asks for.
var actions = [...]access.Actions{
	RuleConnect: access.Connect, RuleJoin: access.Join, RuleEmit: access.Emit, RuleAsk: access.Ask, RuleEmitNamespace: access.Emit,
	RuleHistory: access.History, RulePresence: access.Presence,
}

// verbs are the actions in the text of an error.
var verbs = map[Rule]string{RuleHistory: "read the history", RulePresence: "see the members"}

// scope is a namespace, or a room in it.
type scope struct {
	namespace, room string
	isRoom          bool
}

// String returns the scope for the text of an error. A peer may have chosen the
// names.
func (s scope) String() string {
	if s.isRoom {
		return "in room " + quoted(s.room) + " of namespace " + quoted(s.namespace)
	}
	return "in namespace " + quoted(s.namespace)
}

// quoted is a name in quotes, cut to a length that is fit for an error text.
func quoted(name string) string {
	const longest = 64
	if len(name) > longest {
		end := longest
		for !utf8.RuneStart(name[end]) {
			end--
		}
		name = name[:end] + "…"
	}
	return strconv.Quote(name)
}

// allows reports whether a rule of Access lets a client do something. It does
// not allocate.
func (p *policy) allows(r Rule, id *access.Identity, at scope) bool {
	switch p.who(r) {
	case WhoAnyone:
		return true
	case WhoUser:
		return id != nil && id.User != ""
	case WhoPermitted:
		switch {
		case id == nil:
			return false
		case at.isRoom:
			return id.Allows(actions[r], at.namespace, at.room)
		}
		return id.AllowsNamespace(actions[r], at.namespace)
	}
	return false
}

// denial is the error for a client that a rule of Access refuses.
func (p *policy) denial(r Rule, id *access.Identity, at scope) error {
	action := actions[r].String()
	verb := cmp.Or(verbs[r], action)
	switch who := p.who(r); {
	case who == WhoNobody:
		return wire.DetailedError{Err: wire.ErrForbidden, Detail: "no client may " + verb + " " + at.String()}
	case who == WhoUser:
		return wire.DetailedError{Err: wire.ErrUnauthorized, Detail: "needs a user to " + verb + " " + at.String()}
	case id == nil || id.IsZero():
		return wire.DetailedError{Err: wire.ErrUnauthorized, Detail: "needs " + action + " " + at.String()}
	}
	return wire.DetailedError{Err: wire.ErrForbidden, Detail: "needs " + action + " " + at.String()}
}

// eventRule returns the rule of Access for an emit or an ask.
func eventRule(e *session.Event) Rule {
	switch {
	case len(e.Message.Token) > 0 && e.Publish == nil:
		return RuleAsk
	case e.Room != nil:
		return RuleEmit
	}
	return RuleEmitNamespace
}

// scopeOf is where an emit or an ask goes.
func scopeOf(ns *Namespace, e *session.Event) scope {
	if e.Room == nil {
		return scope{namespace: ns.name}
	}
	return scope{ns.name, e.Room.Name(), true}
}

// refused reports whether a rule refuses an emit or an ask; it is counted and
// answered then.
func (a *app) refused(c *hub.Client, ns *Namespace, p *policy, e *session.Event) bool {
	rule := RuleMessageSize
	if p.MaxMessage == 0 || e.Size() <= p.MaxMessage {
		if rule = eventRule(e); p.allows(rule, c.Identity(), scopeOf(ns, e)) {
			return false
		}
	}
	ns.denied[rule].Add(1)
	if len(e.Message.Token) == 0 && !e.Message.NoOp {
		return true // the client does not want to know
	}
	err := wire.ErrTooBig
	if rule != RuleMessageSize {
		err = p.denial(rule, c.Identity(), scopeOf(ns, e))
	}
	if len(e.Message.Token) > 0 || c.IsSettled() {
		c.Session().ReplyError(e.Message, err.Error())
		return true
	}
	// The reports of earlier emits leave first.
	in, at, event := a.ensureHandle(c).nsconn(ns.name), scopeOf(ns, e), string(e.Message.Event)
	a.dispatch(c, &notice{handlerCall{}, func(context.Context) error {
		in.reportRefusal(at.room, event, err)
		return nil
	}})
	return true
}

// checkRequest returns the rule that refuses a request to connect or join, and
// the error for the client; nil if there is none.
func (ns *Namespace) checkRequest(id *access.Identity, r *session.Request) (Rule, error) {
	p, at, rule := ns.policy.Load(), scope{namespace: ns.name}, RuleConnect
	switch r.Kind {
	case session.Connect:
	case session.Join:
		if !p.joins {
			return 0, nil
		}
		at.room, at.isRoom, rule = string(r.Message.Room), true, RuleJoin
		if p.Rooms.MaxLength > 0 && len(at.room) > p.Rooms.MaxLength || p.pattern != nil && !p.pattern.MatchString(at.room) {
			return RuleRoomName, wire.DetailedError{Err: wire.ErrForbidden, Detail: "not a name for rooms: " + at.String()}
		}
	default:
		return 0, nil
	}
	if p.allows(rule, id, at) {
		return 0, nil
	}
	return rule, p.denial(rule, id, at)
}

// identityTask replaces the identity of a connection.
type identityTask struct {
	conn     *Conn
	identity *access.Identity
}

// Run implements hub.Task.
func (t *identityTask) Run(*hub.Shard) {
	c := t.conn.handle.Client()
	if c == nil || !c.IsOpen() {
		return
	}
	t.conn.replaceIdentity(c, t.identity)
}

// replaceIdentity gives the connection an identity, and takes it out of the
// namespaces and rooms that only the old one allows. It belongs to the loop.
func (c *Conn) replaceIdentity(client *hub.Client, now *access.Identity) {
	before := client.Identity()
	if !client.SetIdentity(now) {
		return // of another user: a login has come first
	}
	c.identity.Store(now)
	evict(client, func(ns *Namespace, r Rule, at scope) bool {
		p := ns.policy.Load()
		return p.allows(r, before, at) && !p.allows(r, now, at)
	})
}

// evict takes a connection out of the namespaces and rooms for which it has
// lost the permission. Where it never had one, the application has put it.
func evict(c *hub.Client, lost func(ns *Namespace, r Rule, at scope) bool) {
	var namespaces []session.Namespace
	for in := range c.Session().Namespaces() {
		namespaces = append(namespaces, in)
	}
	for _, in := range namespaces {
		ns := declared(in.(*hub.Namespace))
		if lost(ns, RuleConnect, scope{namespace: ns.name}) {
			c.ForceDisconnect(in)
			continue
		}
		var rooms []session.Room
		for joined := range c.Session().Rooms(in) {
			if lost(ns, RuleJoin, scope{ns.name, joined.Name(), true}) {
				rooms = append(rooms, joined)
			}
		}
		for _, joined := range rooms {
			c.ForceLeave(in, joined)
		}
	}
}
