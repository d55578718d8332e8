package node

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/stoa-io/stoa/internal/hub"
)

// Settings are the parts of a Config that can change while a node runs; see
// Node.Update.
type Settings struct {
	// Namespaces are all namespaces, also those of Node.Namespace.
	Namespaces map[string]NamespaceOptions
	// AllowOrigins and AllowHosts are those of Config.
	AllowOrigins, AllowHosts []string
	// TrustedProxies are those of Config.
	TrustedProxies []netip.Prefix
	// Limits are those of Config. Update lists the fields that can change.
	Limits Limits
}

// Settings returns the settings that are in force, with their defaults. The
// maps and slices are the caller's own.
func (n *Node) Settings() Settings {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := Settings{
		Namespaces:   make(map[string]NamespaceOptions),
		AllowOrigins: slices.Clone(n.config.AllowOrigins), AllowHosts: slices.Clone(n.config.AllowHosts),
		TrustedProxies: slices.Clone(n.config.TrustedProxies), Limits: n.config.Limits,
	}
	for name, ns := range n.table() {
		s.Namespaces[name] = ns.policy.Load().NamespaceOptions
	}
	return s
}

// Update replaces the settings of a running node: change those of
// Node.Settings. When it returns they are in force on all loops, and
// connections stay open.
//
//   - A namespace that is new has no handlers. One that is missing is removed:
//     its connections are disconnected from it, which OnDisconnected reports as
//     forced. It gets its handlers back when it is added again.
//   - Connections that were in a namespace or a room by the old rules, and may
//     not be by the new ones, are taken out, as by Conn.SetIdentity. Members
//     beyond a new MembersPerRoom stay, as do rooms with other names.
//   - All limits but Header, HistoryMemory and QueueMemory can change. They count for later
//     messages, joins and connections: nothing is closed or left because a
//     limit is lower. A connection that waits because of a rate follows the new
//     one. Without a limit of addresses, connections are not counted for a
//     later one.
//   - The History and Presence of a namespace cannot change. A new namespace can
//     have them if another has had them since the start.
//   - AllowOrigins, AllowHosts and TrustedProxies count for later requests.
//
// The error names every field that cannot be used or cannot change; then
// nothing has changed. It is ErrNotServing or ErrClosed if the
// node does not run. Calls at the same time take turns. Like Stats it waits for
// each loop to end its turn.
func (n *Node) Update(s Settings) error {
	n.updating.Lock()
	defer n.updating.Unlock()
	if err := n.usable(); err != nil {
		return err
	}
	next := n.config
	next.Namespaces, next.Limits = s.Namespaces, s.Limits
	next.AllowOrigins, next.AllowHosts = slices.Clone(s.AllowOrigins), slices.Clone(s.AllowHosts)
	next.TrustedProxies = slices.Clone(s.TrustedProxies)
	next = next.WithDefaults()
	if err := errors.Join(next.validate(), fixedLimits(&n.config.Limits, &next.Limits), n.fixedRooms(next.Namespaces)); err != nil {
		return err
	}
	allowed, _ := next.allowed() // validate has checked it
	n.server.SetAllowed(allowed)
	n.server.SetConnectionLimit(next.Limits.Connections)
	n.server.SetDrainRate(next.Limits.DrainPerSecond)
	n.server.SetAddressLimits(next.Limits.addresses())
	n.hub.SetLimits(next.hubLimits())
	n.followLimits(&next)
	changes := n.replaceNamespaces(&next)
	n.mu.Lock()
	n.config.AllowOrigins, n.config.AllowHosts, n.config.Limits = next.AllowOrigins, next.AllowHosts, next.Limits
	n.config.TrustedProxies = next.TrustedProxies
	n.mu.Unlock()
	if changes.concern() {
		n.visit(func(s *hub.Shard, from int) int { return s.Clients(from, listPage, changes.apply) })
	}
	return nil
}

// followLimits puts the limits of the engine and of sessions in force on each
// loop, if they change.
func (n *Node) followLimits(next *Config) {
	limits, sessions := next.engineLimits(), next.sessions()
	if limits == n.config.engineLimits() && sessions == n.config.sessions() {
		return
	}
	sessions.Native, sessions.Features = n.session.Native, n.session.Features
	n.hub.SetBasics(hub.Basics{Engine: &limits, Session: &sessions})
	n.visit(func(s *hub.Shard, from int) int { return s.Follow(from, listPage) })
}

// ReplaceCertificate makes a node that listens with ListenTLS use the
// certificate in these files, from the next connection on, and watch them. They
// may be the files of before: then they are read at once. After an error, which
// is ErrCertificate, the previous certificate stays.
func (n *Node) ReplaceCertificate(certFile, keyFile string) error {
	n.updating.Lock()
	defer n.updating.Unlock()
	current := n.certificate.Load()
	if current == nil {
		return fmt.Errorf("%w: the node does not listen with ListenTLS", ErrCertificate)
	}
	next, err := current.Reopen(certFile, keyFile)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	n.certificate.Store(next)
	return nil
}

// fixed are the limits that Update cannot change.
var fixed = []string{"Header", "HistoryMemory", "QueueMemory"}

// fixedLimits returns an error that names each limit that changes and cannot.
func fixedLimits(now, next *Limits) error {
	var errs []error
	a, b := reflect.ValueOf(now).Elem(), reflect.ValueOf(next).Elem()
	for i := range a.NumField() {
		name := a.Type().Field(i).Name
		if !a.Field(i).Equal(b.Field(i)) && slices.Contains(fixed, name) {
			errs = append(errs, fmt.Errorf("node: Limits.%s cannot change while the node runs", name))
		}
	}
	return errors.Join(errs...)
}

// change is that of a namespace. One of the policies is nil if the namespace is
// new or removed.
type change struct{ before, now *policy }

// namespaceChanges are those of one Update.
type namespaceChanges map[*Namespace]change

// replaceNamespaces puts the namespaces of a configuration in force.
func (n *Node) replaceNamespaces(next *Config) namespaceChanges {
	changes, table := make(namespaceChanges), make(map[string]*Namespace)
	for name, o := range next.Namespaces {
		ns := n.table()[name]
		if ns == nil {
			if ns = n.removed[name]; ns == nil {
				ns = &Namespace{
					node: n, name: name, denied: new([rules]atomic.Uint64), history: o.History.hub(&next.Limits), presence: o.Presence,
				}
			}
			delete(n.removed, name)
			ns.policy.Store(newPolicy(o, nil))
		} else if before := ns.policy.Load(); before.NamespaceOptions != o {
			now := newPolicy(o, before)
			ns.policy.Store(now)
			changes[ns] = change{before, now}
		}
		table[name] = ns
	}
	for name, ns := range n.table() {
		if table[name] == nil {
			n.removed[name] = ns
			changes[ns] = change{ns.policy.Load(), nil}
		}
	}
	n.namespaces.Store(&table)
	return changes
}

// concern reports whether connections may have to leave, or members are counted
// from now on.
func (changes namespaceChanges) concern() bool {
	for _, c := range changes {
		if c.now == nil || c.before.Access != c.now.Access || c.before.MembersPerRoom == 0 && c.now.MembersPerRoom > 0 {
			return true
		}
	}
	return false
}

// apply lets a connection follow the changes.
func (changes namespaceChanges) apply(c *hub.Client) {
	id := c.Identity()
	evict(c, func(ns *Namespace, r Rule, at scope) bool {
		switch changed, found := changes[ns]; {
		case !found:
			return false
		case changed.now == nil:
			return true
		default:
			return changed.before.allows(r, id, at) && !changed.now.allows(r, id, at)
		}
	})
	for in := range c.Session().Namespaces() {
		joined := in.(*hub.Namespace)
		if changed := changes[declared(joined)]; changed.now != nil && changed.now.MembersPerRoom > 0 {
			c.CountRooms(joined)
		}
	}
}

// visit calls a function on each loop, for the slots from a first one on, until
// it returns -1, and returns then.
func (n *Node) visit(page func(s *hub.Shard, from int) (next int)) {
	for _, l := range n.server.Loops() {
		for from := 0; from >= 0; {
			t := &visitTask{from: from, page: page, next: make(chan int, 1)}
			if !l.Shard().(*hub.Shard).Submit(t) {
				break
			}
			from = <-t.next
		}
	}
}

var _ hub.Dropper = (*visitTask)(nil)

// visitTask visits a page of a loop's connections.
type visitTask struct {
	from int // the first slot
	page func(s *hub.Shard, from int) (next int)
	next chan int // the slot to continue with, -1 at the end
}

// Run implements hub.Task.
func (t *visitTask) Run(s *hub.Shard) { t.next <- t.page(s, t.from) }

// Dropped implements hub.Dropper.
func (t *visitTask) Dropped(*hub.Shard) { t.next <- -1 }
