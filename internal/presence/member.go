package presence

import (
	"encoding/json"
	"strings"
)

// Member is a user in a room, or a connection without a user.
type Member struct {
	// Key is UserKey or ConnKey of the member.
	Key string `json:"k"`
	// Conns is how many connections of the user are in the room; 0: it has
	// left, or may be back before that is shown.
	Conns int `json:"n,omitempty"`
	// Info describes the user: JSON, nil if there is none.
	Info json.RawMessage `json:"i,omitempty"`
}

const (
	userPrefix = "u"
	connPrefix = "c"
)

// UserKey returns the key of a user, ConnKey that of a connection without one.
func UserKey(user string) string { return userPrefix + user }

// ConnKey returns the key of a connection without a user.
func ConnKey(id string) string { return connPrefix + id }

// User returns the user of a key; empty and false for a connection without one.
func User(key string) (string, bool) { return cut(key, userPrefix) }

// Conn returns the connection of a key; empty and false for a user.
func Conn(key string) (string, bool) { return cut(key, connPrefix) }

func cut(key, prefix string) (string, bool) {
	rest, found := strings.CutPrefix(key, prefix)
	if !found {
		return "", false
	}
	return rest, true
}
