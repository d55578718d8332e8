package main

import (
	"fmt"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// place is a namespace, and a room in it or none.
type place struct{ namespace, room string }

// String is how people see and type a place.
func (p place) String() string {
	if p.room == "" {
		return shownName(p.namespace)
	}
	return shownName(p.namespace) + "/" + shownName(p.room)
}

// namedPlaces are a namespace and the rooms in it that the command line names.
type namedPlaces struct {
	namespace string
	rooms     []string
}

// placeFlags hold --namespace and --room, which may both be repeated: a room belongs to
// the namespace in front of it, or to the first one if there is none in front.
type placeFlags struct {
	named    []namedPlaces
	orphaned []string // rooms in front of the first namespace
}

func (f *placeFlags) register(set *pflag.FlagSet) {
	set.VarP(&placeFlag{f, (*placeFlags).addNamespace}, "namespace", "n",
		"`namespace` to connect to, \""+demoNamespace+"\" if not given; repeatable")
	set.VarP(&placeFlag{f, (*placeFlags).addRoom}, "room", "r",
		"`room` to join, in the namespace given before it; repeatable")
}

func (f *placeFlags) addNamespace(name string) {
	for _, known := range f.named {
		if known.namespace == name {
			return
		}
	}
	f.named = append(f.named, namedPlaces{namespace: name})
}

func (f *placeFlags) addRoom(name string) {
	if len(f.named) == 0 {
		f.orphaned = append(f.orphaned, name)
		return
	}
	last := &f.named[len(f.named)-1]
	last.rooms = append(last.rooms, name)
}

// resolve returns what to connect to and to join, in order; never nothing.
func (f *placeFlags) resolve() []namedPlaces {
	named := append([]namedPlaces(nil), f.named...)
	if len(named) == 0 {
		named = []namedPlaces{{namespace: demoNamespace}}
	}
	named[0].rooms = append(append([]string(nil), f.orphaned...), named[0].rooms...)
	return named
}

// destinations are where a message goes: into each room, and to the namespaces that
// have none.
func destinations(named []namedPlaces) []place {
	var all []place
	for _, one := range named {
		if len(one.rooms) == 0 {
			all = append(all, place{namespace: one.namespace})
		}
		for _, room := range one.rooms {
			all = append(all, place{one.namespace, room})
		}
	}
	return all
}

// placeFlag is one of the two flags.
type placeFlag struct {
	places *placeFlags
	add    func(*placeFlags, string)
}

// Set implements pflag.Value.
func (f *placeFlag) Set(name string) error {
	if !utf8.ValidString(name) {
		return fmt.Errorf("%q is not valid UTF-8", name)
	}
	f.add(f.places, name)
	return nil
}

// String implements pflag.Value; there is no default to show.
func (f *placeFlag) String() string { return "" }

// Type implements pflag.Value.
func (f *placeFlag) Type() string { return "name" }
