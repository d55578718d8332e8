package cluster

import "strings"

// ChannelKind is the purpose of a channel.
type ChannelKind uint8

// The kinds of channels.
const (
	// KindRoom is the channel of one room.
	KindRoom ChannelKind = iota + 1
	// KindNamespace is the channel of all members of a namespace.
	KindNamespace
	// KindNode is the inbox of one node.
	KindNode
	// KindCluster is the channel of all nodes.
	KindCluster
	// KindUser is the channel of all connections of one user. No client can
	// name it.
	KindUser
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
	case KindUser:
		return "user"
	}
	return "unknown"
}

// Address holds the parts of a channel name.
type Address struct {
	Kind      ChannelKind
	Namespace string // of KindRoom and KindNamespace
	Room      string // empty unless Kind is KindRoom; may be empty then too
	Node      string // the ID of the node if Kind is KindNode
	User      string // the ID of the user if Kind is KindUser
}

// A channel name is a letter for its kind and up to two escaped names:
//
//	n:<namespace>
//	r:<namespace>:<room>
//	i:<node>
//	u:<user>
//	c:
//
// Bytes outside [A-Za-z0-9_.-] are escaped as %XX with upper-case digits. So
// the separator never appears in a name, and no byte that a peer chose has a
// meaning for a broker's server: names contain no patterns, spaces, line ends
// or key tags.
const (
	roomPrefix      = "r:"
	namespacePrefix = "n:"
	nodePrefix      = "i:"
	userPrefix      = "u:"
	clusterChannel  = "c:"
	separator       = ':'
	escape          = '%'
	upperHex        = "0123456789ABCDEF"
)

// RoomChannel returns the channel of a room. Both names may be any bytes, and
// may be empty. The result has at most 3 bytes per byte of the names, and 3
// more; the limits of package wire bound the names.
func RoomChannel(namespace, room string) string {
	var b strings.Builder
	b.Grow(len(roomPrefix) + escapedLen(namespace) + 1 + escapedLen(room))
	b.WriteString(roomPrefix)
	writeEscaped(&b, namespace)
	b.WriteByte(separator)
	writeEscaped(&b, room)
	return b.String()
}

// NamespaceChannel returns the channel of a namespace; names are as with
// RoomChannel.
func NamespaceChannel(namespace string) string {
	return singleChannel(namespacePrefix, namespace)
}

// NodeChannel returns the inbox of a node, which only that node subscribes to.
func NodeChannel(nodeID string) string {
	return singleChannel(nodePrefix, nodeID)
}

// UserChannel returns the channel of the connections of a user, on every node.
// The ID may be any bytes; the result has at most 3 bytes per byte, and 2 more.
func UserChannel(user string) string {
	return singleChannel(userPrefix, user)
}

// ClusterChannel returns the channel that every node subscribes to.
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

// ParseChannel is the reverse of the functions that name channels. It accepts
// exactly the names that they return, so that an address has one channel and a
// channel one address. For any other name it returns ErrInvalidChannel. Strings
// of the result are parts of channel if they contain no escapes; then
// ParseChannel does not allocate.
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
	if rest, is := strings.CutPrefix(channel, userPrefix); is {
		user, ok := unescape(rest)
		if !ok {
			return Address{}, ErrInvalidChannel
		}
		return Address{Kind: KindUser, User: user}, nil
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

// plain reports whether a byte stands for itself.
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

// unescape accepts only the output of writeEscaped.
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

// KindOf returns the kind of a channel without parsing the name. It is for
// names that a function of this package has made, and does not check the parts.
// For a name of another form it returns 0.
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
	case userPrefix:
		return KindUser
	}
	if channel == clusterChannel {
		return KindCluster
	}
	return 0
}
