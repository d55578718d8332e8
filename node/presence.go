package node

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/presence"
	"github.com/stoa-io/stoa/internal/rpc"
)

// Presence says what the members of a room learn about each other. A user with
// several connections is one member; a connection without a user is one of its
// own.
type Presence uint8

// The kinds of presence. The zero value is PresenceOff.
const (
	// PresenceOff costs nothing.
	PresenceOff Presence = iota
	// PresenceCount shows members how many they are.
	PresenceCount
	// PresenceRoster shows members who they are, with the Info of their
	// identities.
	PresenceRoster

	presenceKinds
)

// String returns the kind as one lower-case word.
func (p Presence) String() string {
	return [...]string{"off", "count", "roster", "unknown"}[min(p, presenceKinds)]
}

// Presence implements hub.App.
func (a *app) Presence(namespace string) hub.Presence {
	if ns := a.table()[namespace]; ns != nil {
		return hub.Presence(ns.presence)
	}
	return hub.PresenceOff
}

// readRules are the rules of Access for what clients read of a room.
var readRules = [...]Rule{hub.ReadHistory: RuleHistory, hub.ReadPresence: RulePresence}

// MayRead implements hub.App.
func (a *app) MayRead(c *hub.Client, in *hub.Namespace, room string, r hub.Reading) bool {
	ns := declared(in)
	return ns.policy.Load().allows(readRules[r], c.Identity(), scope{ns.name, room, true})
}

// ReadDenied implements hub.App.
func (a *app) ReadDenied(c *hub.Client, in *hub.Namespace, room string, r hub.Reading) error {
	ns, rule := declared(in), readRules[r]
	ns.denied[rule].Add(1)
	return ns.policy.Load().denial(rule, c.Identity(), scope{ns.name, room, true})
}

// Member is a user in a room, or a connection without a user.
type Member struct {
	// User is the ID of the user; empty for a connection without one, which has
	// its ID in Conn.
	User, Conn string
	// Conns is how many connections of the user are in the room; 0 if the last
	// one has left, and may be back within Timeouts.PresenceGrace.
	Conns int
	// Info is that of the identity: JSON, nil if there is none.
	Info json.RawMessage
}

// PresenceQuery selects members of a room.
type PresenceQuery struct {
	// Limit is the largest number of members. Zero means 100; with a negative
	// one the page has their number only.
	Limit int
	// After is PresencePage.Next of the page before.
	After string
}

// PresencePage is a part of the members of a room.
type PresencePage struct {
	Members []Member // in an order that does not change
	Count   int      // of all members, a user once
	Next    string   // PresenceQuery.After for the next page; empty after the last
	// Missing are the IDs of nodes that have not answered in time: their
	// members are not in the page. It is empty if a client of this node is in
	// the room.
	Missing []string
}

// ErrNoPresence is returned for a room in a namespace without presence.
var ErrNoPresence = errors.New("node: the room has no presence")

// Presence returns the members of a room on all nodes. While a client of this
// node is in the room, this is a look into its memory; else it asks all nodes.
// The error is ErrNoPresence, or that of ctx. The page is the caller's.
func (n *Node) Presence(ctx context.Context, namespace, room string, q PresenceQuery) (PresencePage, error) {
	if err := n.usable(); err != nil {
		return PresencePage{}, err
	}
	if (*app)(n).Presence(namespace) == hub.PresenceOff {
		return PresencePage{}, ErrNoPresence
	}
	limit := q.Limit
	switch {
	case limit == 0:
		limit = defaultMembers
	case limit < 0:
		limit = 0
	}
	channel := cluster.RoomChannel(namespace, room)
	known := make(chan presence.Page, 1)
	n.hub.Members(channel, q.After, limit, func(p presence.Page) { known <- p })
	select {
	case <-ctx.Done():
		return PresencePage{}, ctx.Err()
	case <-n.ended:
		return PresencePage{}, ErrClosed
	case page := <-known:
		if page.Known {
			return presencePage(&page, limit), nil
		}
	}
	return n.askMembers(ctx, channel, q.After, limit)
}

const defaultMembers = 100

func presencePage(p *presence.Page, limit int) PresencePage {
	page := PresencePage{Count: p.Count}
	for i := range p.Members {
		m := &p.Members[i]
		user, _ := presence.User(m.Key)
		conn, _ := presence.Conn(m.Key)
		page.Members = append(page.Members, Member{User: user, Conn: conn, Conns: m.Conns, Info: m.Info})
	}
	if p.More && limit > 0 {
		page.Next = p.Members[len(p.Members)-1].Key
	}
	return page
}

// askMembers asks all nodes for their members of a room.
func (n *Node) askMembers(ctx context.Context, channel, after string, limit int) (PresencePage, error) {
	answers, err := n.hub.Peer().AskNodes(ctx, &rpc.Request{Op: rpc.OpMembers, Target: channel})
	if err != nil && ctx.Err() != nil {
		return PresencePage{}, ctx.Err()
	}
	all := make(map[string]presence.Member)
	for _, a := range answers.Answers {
		var members []presence.Member
		if a.Err != nil || json.Unmarshal(a.Body, &members) != nil {
			continue
		}
		for _, m := range members {
			m.Conns += all[m.Key].Conns
			all[m.Key] = m
		}
	}
	whole := presence.Page{Count: len(all)}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if key <= after {
			continue
		}
		if whole.More = len(whole.Members) == limit; whole.More {
			break
		}
		whole.Members = append(whole.Members, all[key])
	}
	page := presencePage(&whole, limit)
	page.Missing = answers.Missing
	return page, nil
}

// keepPresence prepares the hub for the namespaces with presence, before the
// node starts.
func (n *Node) keepPresence() {
	for _, ns := range n.table() {
		if ns.presence != PresenceOff {
			n.hub.KeepPresence()
			return
		}
	}
}

// PresenceStats is the part of Stats about presence.
type PresenceStats struct {
	Rooms   int // with presence and a member on this node
	Members int // of these rooms, on all nodes
}
