package cluster

import "strings"

// ChannelKind is what a channel is for.
type ChannelKind uint8

// The kinds of channels.
const (
	// KindRoom: what is emitted into one room.
	KindRoom ChannelKind = iota + 1
	// KindNamespace: what is emitted to everybody in a namespace.
	KindNamespace
	// KindNode: what is meant for one node.
	KindNode
	// KindCluster: what is meant for all nodes.
	KindCluster
)

func (k ChannelKind) String() string {
	switch k {
	case KindRoom:
		return "room"
	case KindNamespace:
		return "namespace"
	case KindNode:
		return "node"
	case KindCluster:
		return "cluster"
	}
	return "unknown"
}

// Address is what a channel name says.
type Address struct {
	Kind      ChannelKind
	Namespace string // of KindRoom and KindNamespace
	Room      string // empty unless Kind is KindRoom; may be empty then too
	Node      string // the ID of the node if Kind is KindNode
}

// A channel name is a letter for its kind and up to two escaped names:
//
//	n:<namespace>
//	r:<namespace>:<room>
//	i:<node>
//	c:
//
// Bytes outside [A-Za-z0-9_.-] are escaped as %XX with upper-case digits. So the
// separator never appears in a name, and no byte that a peer chose means anything
// to a broker's server: no patterns, no spaces, no line ends, no key tags.
const (
	roomPrefix      = "r:"
	namespacePrefix = "n:"
	nodePrefix      = "i:"
	clusterChannel  = "c:"
	separator       = ':'
	escape          = '%'
	upperHex        = "0123456789ABCDEF"
)

// RoomChannel is the channel of a room. Both names may be any bytes, empty too.
// The result is at most 3 bytes per byte of the names and 3 more; the names'
// length is bounded where they come from, by the limits of package wire.
func RoomChannel(namespace, room string) string {
	var b strings.Builder
	b.Grow(len(roomPrefix) + escapedLen(namespace) + 1 + escapedLen(room))
	b.WriteString(roomPrefix)
	writeEscaped(&b, namespace)
	b.WriteByte(separator)
	writeEscaped(&b, room)
	return b.String()
}

// NamespaceChannel is the channel of a namespace; names as with RoomChannel.
func NamespaceChannel(namespace string) string {
	return singleChannel(namespacePrefix, namespace)
}

// NodeChannel is the inbox of a node: what only that node receives.
func NodeChannel(nodeID string) string {
	return singleChannel(nodePrefix, nodeID)
}

// ClusterChannel is the channel that every node of the cluster is on.
func ClusterChannel() string {
	return clusterChannel
}

func singleChannel(prefix, name string) string {
	var b strings.Builder
	b.Grow(len(prefix) + escapedLen(name))
	b.WriteString(prefix)
	writeEscaped(&b, name)
	return b.String()
}

// ParseChannel is the reverse of the functions that name channels. Exactly the
// names that they make are accepted, so an address has one channel and a channel
// one address; anything else is ErrInvalidChannel. The result's strings are parts
// of channel where nothing was escaped: then nothing is allocated.
func ParseChannel(channel string) (Address, error) {
	if rest, is := strings.CutPrefix(channel, namespacePrefix); is {
		namespace, ok := unescape(rest)
		if !ok {
			return Address{}, ErrInvalidChannel
		}
		return Address{Kind: KindNamespace, Namespace: namespace}, nil
	}
	if rest, is := strings.CutPrefix(channel, nodePrefix); is {
		node, ok := unescape(rest)
		if !ok {
			return Address{}, ErrInvalidChannel
		}
		return Address{Kind: KindNode, Node: node}, nil
	}
	if channel == clusterChannel {
		return Address{Kind: KindCluster}, nil
	}
	rest, is := strings.CutPrefix(channel, roomPrefix)
	if !is {
		return Address{}, ErrInvalidChannel
	}
	first, second, is := strings.Cut(rest, string(separator))
	if !is {
		return Address{}, ErrInvalidChannel
	}
	namespace, ok := unescape(first)
	if !ok {
		return Address{}, ErrInvalidChannel
	}
	room, ok := unescape(second)
	if !ok {
		return Address{}, ErrInvalidChannel
	}
	return Address{Kind: KindRoom, Namespace: namespace, Room: room}, nil
}

// plain says which bytes stand for themselves.
func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '_' || c == '.' || c == '-'
}

func escapedLen(name string) int {
	length := len(name)
	for i := range len(name) {
		if !plain(name[i]) {
			length += 2
		}
	}
	return length
}

func writeEscaped(b *strings.Builder, name string) {
	for i := range len(name) {
		c := name[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte(escape)
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
}

// unescape accepts only what writeEscaped writes.
func unescape(text string) (name string, ok bool) {
	escapes := 0
	for i := 0; i < len(text); i++ {
		if plain(text[i]) {
			continue
		}
		if text[i] != escape || i+2 >= len(text) {
			return "", false
		}
		high, low := strings.IndexByte(upperHex, text[i+1]), strings.IndexByte(upperHex, text[i+2])
		if high < 0 || low < 0 || plain(byte(high<<4|low)) {
			return "", false
		}
		escapes++
		i += 2
	}
	if escapes == 0 {
		return text, true
	}
	var b strings.Builder
	b.Grow(len(text) - 2*escapes)
	for i := 0; i < len(text); i++ {
		if text[i] != escape {
			b.WriteByte(text[i])
			continue
		}
		b.WriteByte(byte(strings.IndexByte(upperHex, text[i+1])<<4 | strings.IndexByte(upperHex, text[i+2])))
		i += 2
	}
	return b.String(), true
}

// KindOf returns the kind of a channel that one of the functions of this package
// has named, without the work of ParseChannel. The zero kind stands for any other
// name; the names inside a channel are not checked.
func KindOf(channel string) ChannelKind {
	if len(channel) < len(roomPrefix) || channel[1] != separator {
		return 0
	}
	switch channel[:len(roomPrefix)] {
	case roomPrefix:
		return KindRoom
	case namespacePrefix:
		return KindNamespace
	case nodePrefix:
		return KindNode
	}
	if channel == clusterChannel {
		return KindCluster
	}
	return 0
}
