package cluster_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cluster"
)

var channelNames = []struct {
	name    string
	address cluster.Address
	channel string
}{
	{"plain room", room("chat", "lobby"), "r:chat:lobby"},
	{"plain namespace", namespace("chat"), "n:chat"},
	{"empty namespace", namespace(""), "n:"},
	{"empty room", room("chat", ""), "r:chat:"},
	{"both empty", room("", ""), "r::"},
	{"all plain characters", namespace("azAZ09_.-"), "n:azAZ09_.-"},
	{"separator", room("a:b", "c:"), "r:a%3Ab:c%3A"},
	{"the separator moved", room("a", "b:c:"), "r:a:b%3Ac%3A"},
	{"percent sign", room("%", "%25"), "r:%25:%2525"},
	{"patterns", room("*", "[a-z]?"), "r:%2A:%5Ba-z%5D%3F"},
	{"key tag", namespace("{a}"), "n:%7Ba%7D"},
	{"line ends and NUL", room("a\r\nb", "\x00"), "r:a%0D%0Ab:%00"},
	{"invalid UTF-8", namespace("\xff\xc3"), "n:%FF%C3"},
	{"Unicode", namespace("é"), "n:%C3%A9"},
	{"space and semicolon", room("a b", ";"), "r:a%20b:%3B"},
	{"node", cluster.Address{Kind: cluster.KindNode, Node: "k3n7x1qa"}, "i:k3n7x1qa"},
	{"node with a star", cluster.Address{Kind: cluster.KindNode, Node: "*"}, "i:%2A"},
	{"cluster", cluster.Address{Kind: cluster.KindCluster}, "c:"},
	{"user", user("ann"), "u:ann"},
	{"user without an ID", user(""), "u:"},
	{"user named as a channel", user("r:chat:lobby"), "u:r%3Achat%3Alobby"},
	{"user with odd bytes", user("a b*\x00\xff{"), "u:a%20b%2A%00%FF%7B"},
}

func TestChannelNames(t *testing.T) {
	for _, c := range channelNames {
		t.Run(c.name, func(t *testing.T) {
			if got := channelOf(c.address); got != c.channel {
				t.Errorf("channel of %+v = %q, want %q", c.address, got, c.channel)
			}
			got, err := cluster.ParseChannel(c.channel)
			if err != nil || got != c.address {
				t.Errorf("ParseChannel(%q) = (%+v, %v), want %+v", c.channel, got, err, c.address)
			}
		})
	}
}

func TestParseChannelRefuses(t *testing.T) {
	for _, c := range []struct {
		name, channel string
	}{
		{"nothing", ""},
		{"no kind", "chat"},
		{"unknown kind", "x:chat"},
		{"kind in upper case", "R:chat:lobby"},
		{"room without a room", "r:chat"},
		{"namespace with a room", "n:chat:lobby"},
		{"room with three names", "r:chat:lobby:hall"},
		{"byte that must be escaped", "n:a b"},
		{"high byte", "n:\xff"},
		{"lower-case digits", "n:%c3%a9"},
		{"no digits", "n:%GG"},
		{"escape cut after the sign", "n:a%"},
		{"escape cut after a digit", "n:a%2"},
		{"escape cut by the separator", "r:a%2:b"},
		{"needless escape", "n:%61"},
		{"needless escape of a node", "i:%61"},
		{"cluster with a name", "c:a"},
		{"needless escape of a user", "u:%61"},
		{"user with a second name", "u:ann:bob"},
		{"needless escape of a dot", "n:%2E"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := cluster.ParseChannel(c.channel)
			if !errors.Is(err, cluster.ErrInvalidChannel) || got != (cluster.Address{}) {
				t.Errorf("ParseChannel(%q) = (%+v, %v), want %v", c.channel, got, err, cluster.ErrInvalidChannel)
			}
		})
	}
}

func TestParseChannelAllocations(t *testing.T) {
	channel := cluster.RoomChannel("chat", "lobby-1")
	allocations := testing.AllocsPerRun(200, func() {
		if _, err := cluster.ParseChannel(channel); err != nil {
			t.Error(err)
		}
	})
	if allocations != 0 {
		t.Errorf("ParseChannel of plain names allocates %v times, want 0", allocations)
	}
	allocations = testing.AllocsPerRun(200, func() { channel = cluster.RoomChannel("chat", "lobby 1") })
	if allocations > 1 {
		t.Errorf("RoomChannel allocates %v times, want 1", allocations)
	}
}

// FuzzParseChannel checks that every name that parses is one that this package
// makes.
func FuzzParseChannel(f *testing.F) {
	for _, c := range channelNames {
		f.Add(c.channel)
	}
	f.Add("n:%61")
	f.Add("r:%")
	f.Add(cluster.NodeChannel("n0de_1"))
	f.Add(cluster.ClusterChannel())
	f.Add(cluster.UserChannel("ann"))
	f.Fuzz(func(t *testing.T, channel string) {
		address, err := cluster.ParseChannel(channel)
		if err != nil {
			if !errors.Is(err, cluster.ErrInvalidChannel) {
				t.Fatalf("ParseChannel(%q) = %v, want %v", channel, err, cluster.ErrInvalidChannel)
			}
			return
		}
		if again := channelOf(address); again != channel {
			t.Fatalf("ParseChannel(%q) = %+v, whose channel is %q", channel, address, again)
		}
	})
}

var safe = regexp.MustCompile(`^[rnu]:[A-Za-z0-9_.%:-]*$`)

// FuzzRoomChannel checks that any two names make channels of harmless
// characters and bounded length, which lead back to them.
func FuzzRoomChannel(f *testing.F) {
	for _, c := range channelNames {
		f.Add(c.address.Namespace, c.address.Room)
	}
	f.Fuzz(func(t *testing.T, namespaceName, roomName string) {
		for _, address := range []cluster.Address{room(namespaceName, roomName), namespace(namespaceName), user(roomName)} {
			channel := channelOf(address)
			if got, err := cluster.ParseChannel(channel); err != nil || got != address {
				t.Fatalf("ParseChannel(%q) = (%+v, %v), want %+v", channel, got, err, address)
			}
			if !safe.MatchString(channel) || strings.Count(channel, ":") > 2 {
				t.Fatalf("channel of %+v = %q, want only harmless characters", address, channel)
			}
			if most := 3*(len(address.Namespace)+len(address.Room)+len(address.User)) + 3; len(channel) > most {
				t.Fatalf("channel of %+v has %d bytes, want at most %d", address, len(channel), most)
			}
		}
	})
}

func TestKindString(t *testing.T) {
	for kind, want := range map[cluster.ChannelKind]string{
		cluster.KindRoom: "room", cluster.KindNamespace: "namespace", cluster.KindUser: "user", 0: "unknown", 200: "unknown",
	} {
		if got := kind.String(); got != want {
			t.Errorf("ChannelKind(%d).String() = %q, want %q", kind, got, want)
		}
	}
}

func room(namespace, room string) cluster.Address {
	return cluster.Address{Kind: cluster.KindRoom, Namespace: namespace, Room: room}
}

func namespace(name string) cluster.Address {
	return cluster.Address{Kind: cluster.KindNamespace, Namespace: name}
}

func user(id string) cluster.Address {
	return cluster.Address{Kind: cluster.KindUser, User: id}
}

func channelOf(address cluster.Address) string {
	switch address.Kind {
	case cluster.KindNamespace:
		return cluster.NamespaceChannel(address.Namespace)
	case cluster.KindNode:
		return cluster.NodeChannel(address.Node)
	case cluster.KindCluster:
		return cluster.ClusterChannel()
	case cluster.KindUser:
		return cluster.UserChannel(address.User)
	}
	return cluster.RoomChannel(address.Namespace, address.Room)
}

func TestKindOf(t *testing.T) {
	for _, c := range channelNames {
		if got := cluster.KindOf(c.channel); got != c.address.Kind {
			t.Errorf("KindOf(%q) = %v, want %v", c.channel, got, c.address.Kind)
		}
	}
	for _, channel := range []string{"", "r", "c:x", "x:", "room"} {
		if got := cluster.KindOf(channel); got != 0 {
			t.Errorf("KindOf(%q) = %v, want 0", channel, got)
		}
	}
}
