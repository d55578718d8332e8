package session

import "github.com/stoa-io/stoa/wire"

// Role says which end of the connection a session is.
type Role uint8

// The roles.
const (
	Server Role = iota + 1
	Client
)

// String returns the role as one lower-case word.
func (r Role) String() string {
	switch r {
	case Server:
		return "server"
	case Client:
		return "client"
	}
	return "invalid"
}

// Defaults of Config.
const (
	DefaultMaxNamespaces = 16
	DefaultMaxRooms      = 128
	DefaultMaxEarly      = 16 << 10
)

// Config is what many sessions share. It must not change while one of them is
// in use. Sessions take it as it is: pass the result of WithDefaults.
type Config struct {
	// Role is the end that the sessions are.
	Role Role
	// Limits bounds the names and tokens of received messages. Its Message is
	// not used here: the reader of frames applies it.
	Limits wire.Limits
	// MaxNamespaces and MaxRooms are how many namespaces and rooms the peer may
	// have at a time; rooms count over all namespaces. What this side asks for
	// itself is not refused. Zero means 16 and 128, negative no limit.
	MaxNamespaces, MaxRooms int
	// MaxEarly is how many bytes of messages, overhead included, are held back
	// until the acknowledgement; zero means 16 KiB, negative no limit.
	MaxEarly int
	// Features are those that a client names in its hello, and that a server
	// names in its acknowledgement to clients that have named them, too.
	Features wire.Features
	// Native hands a payload that is no message to the namespace "", if that is
	// connected (protocol.md section 8).
	Native bool
	// NativeOnly makes every payload a native message; there is no
	// acknowledgement and no message.
	NativeOnly bool
}

// WithDefaults returns a copy in which every zero is replaced by its default.
func (c Config) WithDefaults() Config {
	c.Limits = c.Limits.WithDefaults()
	c.MaxNamespaces = orDefault(c.MaxNamespaces, DefaultMaxNamespaces)
	c.MaxRooms = orDefault(c.MaxRooms, DefaultMaxRooms)
	c.MaxEarly = orDefault(c.MaxEarly, DefaultMaxEarly)
	return c
}

func orDefault(value, standard int) int {
	if value == 0 {
		return standard
	}
	return value
}

// exceeds reports whether count is above a limit that may be switched off.
func exceeds(count, limit int) bool { return limit >= 0 && count > limit }
