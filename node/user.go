package node

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/rpc"
	"github.com/stoa-io/stoa/wire"
)

// User is a user of the cluster: all connections whose Identity names it, on
// every node. A connection becomes one of its user's before its client is
// acknowledged. All methods are safe for concurrent use; docs/users.md has
// their guarantees.
type User struct {
	node *Node
	id   string
}

// User returns the user with this ID, the one of access.Identity. The user
// needs no connection. For an ID that no identity can have, all methods return
// ErrUser.
func (n *Node) User(id string) User { return User{n, id} }

// ID is the ID of the user.
func (u User) ID() string { return u.id }

// UserConn describes a connection of a user.
type UserConn struct {
	ID string `json:"id"`
	// Node is the ID of the node that holds it.
	Node string `json:"node"`
	// Since is when it became one of the user's, by the clock of its node.
	Since time.Time `json:"since"`
	// RemoteAddr is the peer's address.
	RemoteAddr string `json:"remote_addr"`
}

// UserConns are the connections of a user.
type UserConns struct {
	Conns []UserConn
	// Missing are the IDs of the nodes that had not answered when time was up.
	Missing []string
}

// UserClosed is the outcome of closing the connections of a user.
type UserClosed struct {
	// Conns is how many connections were closed.
	Conns int
	// Missing are the IDs of the nodes that had not answered when time was up.
	// They may carry it out later.
	Missing []string
}

// Emit sends a message to the connections of the user that are connected to the
// message's namespace, once to each, on every node. It returns as Node.Emit
// does. The message names no room, else the error is ErrRoom. Messages to one
// user arrive in one order; they have no order with those to rooms.
func (u User) Emit(ctx context.Context, m Message) error {
	if err := u.check(&m); err != nil {
		return err
	}
	return u.node.emit(ctx, cluster.UserChannel(u.id), &m, EmitOptions{}, nil)
}

// Ask asks the connections of the user that are connected to the message's
// namespace, on every node, and returns the first answer. The errors are those
// of Node.AskRoom; wire.ErrNobody means that there is no such connection. The
// message names no room, else the error is ErrRoom.
func (u User) Ask(ctx context.Context, m Message) (Answer, error) {
	if err := u.check(&m); err != nil {
		return Answer{}, err
	}
	if err := u.node.ready(&m); err != nil {
		return Answer{}, err
	}
	asked := m.room()
	asked.User = u.id
	return answerOf(u.node.hub.Peer().AskRoom(ctx, asked))
}

// Conns lists the connections of the user. It returns those that known nodes
// report before ctx ends or Timeouts.Ask has passed, and the nodes that had not
// answered by then.
func (u User) Conns(ctx context.Context) (UserConns, error) {
	if err := u.usable(); err != nil {
		return UserConns{}, err
	}
	all, err := u.node.hub.Peer().AskNodes(ctx, &rpc.Request{Op: rpc.OpUserConns, Target: u.id})
	found := UserConns{Missing: all.Missing}
	for _, c := range hub.ParseUserConns(all.Answers) {
		found.Conns = append(found.Conns, UserConn{c.ID, c.Node, time.UnixMicro(c.Since), c.RemoteAddr})
	}
	return found, err
}

// Disconnect closes all connections of the user with a code and a reason, which
// is cut to 123 bytes. It waits for the nodes as Conns does. The error is
// ErrCloseCode for a code that must not be sent, or ErrNotText. It does not
// keep the user from connecting again: see Block.
func (u User) Disconnect(ctx context.Context, code wire.Code, reason string) (UserClosed, error) {
	if err := errors.Join(u.usable(), checkClose(code, reason)); err != nil {
		return UserClosed{}, err
	}
	return userClosed(u.node.hub.Peer().AskNodes(ctx, &rpc.Request{
		Op: rpc.OpCloseUser, Target: u.id, Code: uint16(code), Payload: []byte(reason),
	}))
}

// Block closes all connections of the user, and makes every node refuse new
// ones, for a duration. The clients get wire.CodeForbidden (or HTTP status 403)
// and the reason, which is cut to 123 bytes; "blocked" stands for an empty one.
// It waits for the nodes as Conns does. A node that is missing, or that starts
// later, learns of the block from the others as soon as it reaches them. The
// block is kept in the memory of the nodes only: when all of them have ended,
// it has ended, too. A block of a blocked user replaces the one before.
func (u User) Block(ctx context.Context, d time.Duration, reason string) (UserClosed, error) {
	err := u.usable()
	switch {
	case err != nil:
		return UserClosed{}, err
	case d <= 0:
		return UserClosed{}, ErrBlockDuration
	case !utf8.ValidString(reason):
		return UserClosed{}, ErrNotText
	case reason == "":
		reason = "blocked"
	}
	if len(reason) > maxBlockReason {
		reason = strings.ToValidUTF8(reason[:maxBlockReason], "")
	}
	return userClosed(u.node.hub.Blocks().Block(ctx, u.id, reason, d))
}

// maxBlockReason is the room in a close frame.
const maxBlockReason = 123

// Unblock ends the block of the user on every node. It waits for the nodes as
// Conns does; those that are missing learn of it as of a block.
func (u User) Unblock(ctx context.Context) (UserClosed, error) {
	if err := u.usable(); err != nil {
		return UserClosed{}, err
	}
	return userClosed(u.node.hub.Blocks().Unblock(ctx, u.id))
}

func userClosed(all rpc.Answers, err error) (UserClosed, error) {
	return UserClosed{Conns: hub.ParseClosed(all.Answers), Missing: all.Missing}, err
}

// check returns an error if the message cannot be sent to the user.
func (u User) check(m *Message) error {
	switch {
	case !u.isValid():
		return ErrUser
	case m.Room != "":
		return ErrRoom
	}
	return nil
}

func (u User) isValid() bool {
	id := access.Identity{User: u.id}
	return u.id != "" && id.Validate() == nil
}

// usable returns an error if the node cannot reach the user's connections.
func (u User) usable() error {
	if !u.isValid() {
		return ErrUser
	}
	return u.node.usable()
}

// UserOverflow is the outcome for a user with more connections than
// Limits.ConnectionsPerUser.
type UserOverflow uint8

// The outcomes. The zero value is UserOverflowClose.
const (
	// UserOverflowClose closes the user's oldest connections with
	// wire.CodeReplaced, after which clients stay closed.
	UserOverflowClose UserOverflow = iota
	// UserOverflowRefuse refuses the newest connections with the status 429 or
	// wire.CodeTryAgainLater.
	UserOverflowRefuse
)

// String returns the outcome as one lower-case word.
func (o UserOverflow) String() string {
	switch o {
	case UserOverflowClose:
		return "close"
	case UserOverflowRefuse:
		return "refuse"
	}
	return "unknown"
}

// UserRefusal is why a connection of a user was refused or closed by this node.
type UserRefusal uint8

// The reasons.
const (
	UserUnavailable = UserRefusal(hub.UserUnavailable) // the broker did not subscribe in time
	UserBlocked     = UserRefusal(hub.UserBlocked)     // the user was blocked
	UserLimit       = UserRefusal(hub.UserLimit)       // beyond Limits.ConnectionsPerUser
)

// String returns the reason as one lower-case word.
func (r UserRefusal) String() string { return hub.UserRefusal(r).String() }

// UserRefusals returns all reasons. The slice is the caller's own.
func UserRefusals() []UserRefusal {
	all := make([]UserRefusal, hub.UserRefusals)
	for i := range all {
		all[i] = UserRefusal(i)
	}
	return all
}

// checkUser refuses a client whose user may not have one more connection. The
// hub checks it again.
func (u *upgrader) checkUser(ctx context.Context, user string) error {
	if user == "" {
		return nil
	}
	if reason, blocked := u.hub.Blocks().Blocked(user); blocked {
		u.hub.CountUserRefusal(hub.UserBlocked)
		return Refuse(http.StatusForbidden, reason)
	}
	if u.hub.IsUserFull(ctx, user) {
		u.hub.CountUserRefusal(hub.UserLimit)
		return &Refusal{Status: http.StatusTooManyRequests, Reason: hub.LimitText, RetryAfter: userRetryAfter}
	}
	return nil
}

// userRetryAfter is the delay that is suggested to clients beyond the limit of
// connections: it is not for them to try every few seconds.
const userRetryAfter = time.Minute
