package dial

import (
	"fmt"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/wire"
)

// Destination is a namespace or a room in it. An empty Room stands for the
// namespace.
type Destination struct{ Namespace, Room string }

// String returns the destination as users see and type it.
func (d Destination) String() string {
	if d.Room == "" {
		return cli.SanitizeName(d.Namespace)
	}
	return cli.SanitizeName(d.Namespace) + "/" + cli.SanitizeName(d.Room)
}

// Membership is a namespace to connect to and the rooms to join there.
type Membership struct {
	Namespace string
	Rooms     []string
}

// Destinations returns where a message goes: to every room, and to each
// namespace without a room.
func Destinations(memberships []Membership) []Destination {
	var all []Destination
	for _, m := range memberships {
		if len(m.Rooms) == 0 {
			all = append(all, Destination{Namespace: m.Namespace})
		}
		for _, room := range m.Rooms {
			all = append(all, Destination{m.Namespace, room})
		}
	}
	return all
}

// membershipFlags are --namespace and --room, both repeatable. A room belongs
// to the namespace before it, or to the first one if there is none before it.
type membershipFlags struct {
	memberships []Membership
	early       []string // rooms before the first namespace
}

func (f *membershipFlags) register(set *pflag.FlagSet) {
	set.VarP(&nameFlag{f, (*membershipFlags).addNamespace, wire.DefaultNamespaceLimit}, "namespace", "n",
		"`namespace` to connect to; repeatable; default \""+cli.DefaultNamespace+"\"")
	set.VarP(&nameFlag{f, (*membershipFlags).addRoom, wire.DefaultRoomLimit}, "room", "r",
		"`room` to join in the preceding namespace; repeatable")
}

func (f *membershipFlags) addNamespace(name string) {
	for _, m := range f.memberships {
		if m.Namespace == name {
			return
		}
	}
	f.memberships = append(f.memberships, Membership{Namespace: name})
}

func (f *membershipFlags) addRoom(name string) {
	if len(f.memberships) == 0 {
		f.early = append(f.early, name)
		return
	}
	last := &f.memberships[len(f.memberships)-1]
	last.Rooms = append(last.Rooms, name)
}

// resolve returns the memberships in order, and at least one.
func (f *membershipFlags) resolve() []Membership {
	memberships := append([]Membership(nil), f.memberships...)
	if len(memberships) == 0 {
		memberships = []Membership{{Namespace: cli.DefaultNamespace}}
	}
	memberships[0].Rooms = append(append([]string(nil), f.early...), memberships[0].Rooms...)
	return memberships
}

// nameFlag is one of the two flags.
type nameFlag struct {
	flags *membershipFlags
	add   func(*membershipFlags, string)
	limit int // of the name, in bytes
}

// Set implements pflag.Value.
func (f *nameFlag) Set(name string) error {
	if !utf8.ValidString(name) {
		return fmt.Errorf("%q is not valid UTF-8", name)
	}
	if len(name) > f.limit {
		return fmt.Errorf("%d bytes are too long, want at most %d", len(name), f.limit)
	}
	f.add(f.flags, name)
	return nil
}

// String implements pflag.Value; help shows no default.
func (f *nameFlag) String() string { return "" }

// Type implements pflag.Value.
func (f *nameFlag) Type() string { return "name" }
