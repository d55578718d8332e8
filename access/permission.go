package access

import (
	"errors"
	"fmt"
	"strings"
)

// Actions is a set of what a connection may do.
type Actions uint8

// The actions. Each is about a room, or about the namespace itself where a
// permission names no room.
const (
	// Connect to the namespace. Every permission implies it for its namespace.
	Connect Actions = 1 << iota
	// Join a room.
	Join
	// Emit to a room, or to the whole namespace.
	Emit
	// Ask the members of a room.
	Ask
	// History is reading the earlier messages of a room.
	History
	// Presence is seeing the members of a room.
	Presence

	// AllActions are all of them.
	AllActions = 1<<iota - 1
)

// names are those of the actions, by bit.
var names = [...]string{"connect", "join", "emit", "ask", "history", "presence"}

// String returns the names of the actions, separated by commas.
func (a Actions) String() string {
	var all []string
	for i, name := range names {
		if a&(1<<i) != 0 {
			all = append(all, name)
		}
	}
	return strings.Join(all, ",")
}

// ParseActions reads the name of one action, or "*" for all.
func ParseActions(name string) (Actions, error) {
	if name == "*" {
		return AllActions, nil
	}
	for i, known := range names {
		if name == known {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("unknown action %q: want one of %s, or *", name, strings.Join(names[:], ", "))
}

// userMark stands for the ID of the user in the pattern of a room.
const userMark = "{user}"

// Permission allows actions in rooms of a namespace, or in the namespace
// itself.
type Permission struct {
	// Namespace is its name; "*" means every namespace. No other name has a *.
	Namespace string
	// Rooms are patterns: a name; a name in which "{user}" stands for the ID of
	// the user; a prefix that ends with "*", such as "team-*", or "*" for every
	// room. Braces are possible in "{user}" only. For a user whose ID contains
	// the character behind "{user}", the pattern matches no room; "{user}*" is
	// an error. Without rooms the permission is about the namespace itself: to
	// connect, and to emit to all its connections.
	Rooms []string
	// Allow are the actions that are allowed there.
	Allow Actions
}

// Validate returns an error for a permission that allows nothing or cannot be
// understood.
func (p *Permission) Validate() error {
	switch {
	case p.Namespace == "":
		return errors.New(`the namespace is missing ("*" means every namespace)`)
	case p.Namespace != "*" && strings.Contains(p.Namespace, "*"):
		return fmt.Errorf("namespace %q: a * stands alone, for every namespace", p.Namespace)
	case p.Allow == 0 || p.Allow&^AllActions != 0:
		return fmt.Errorf("allows nothing known (%d)", p.Allow)
	}
	for _, pattern := range p.Rooms {
		if err := validatePattern(pattern); err != nil {
			return err
		}
	}
	return nil
}

// validatePattern refuses patterns that are probably mistakes, such as
// "{User}": the permission would be for another room than its author meant.
func validatePattern(pattern string) error {
	star := strings.IndexByte(pattern, '*')
	switch {
	case pattern == "":
		return errors.New("the name of a room is empty")
	case star >= 0 && star != len(pattern)-1:
		return fmt.Errorf("room %q: a * is possible at the end only", pattern)
	case strings.ContainsAny(strings.ReplaceAll(pattern, userMark, ""), "{}"):
		return fmt.Errorf("room %q: braces are possible in %s only", pattern, userMark)
	case strings.HasSuffix(pattern, userMark+"*"):
		return fmt.Errorf("room %q: want a character between {user} and *, or the rooms of anna would be those of ann, too", pattern)
	}
	return nil
}

// Allows reports whether the identity has all the actions in a room of a
// namespace. It does not allocate.
func (id *Identity) Allows(actions Actions, namespace, room string) bool {
	var missing = actions
	for i := range id.Permissions {
		p := &id.Permissions[i]
		if missing&p.Allow != 0 && p.inNamespace(namespace) && id.matchesAny(p.Rooms, room) {
			if missing &^= p.Allow; missing == 0 {
				return true
			}
		}
	}
	return missing == 0
}

// AllowsNamespace reports whether the identity has all the actions in the
// namespace itself. To connect, any permission in the namespace is enough.
func (id *Identity) AllowsNamespace(actions Actions, namespace string) bool {
	missing := actions
	for i := range id.Permissions {
		p := &id.Permissions[i]
		if !p.inNamespace(namespace) {
			continue
		}
		missing &^= Connect
		if len(p.Rooms) == 0 {
			missing &^= p.Allow
		}
	}
	return missing == 0
}

func (p *Permission) inNamespace(name string) bool {
	return p.Namespace == "*" || p.Namespace == name
}

func (id *Identity) matchesAny(patterns []string, room string) bool {
	for _, pattern := range patterns {
		if id.matches(pattern, room) {
			return true
		}
	}
	return false
}

// matches compares piece by piece, so that nothing is built for a template. The
// ID of a user is taken as it is: a * in it has no meaning.
func (id *Identity) matches(pattern, room string) bool {
	pattern, prefix := strings.CutSuffix(pattern, "*")
	if strings.IndexByte(pattern, userMark[0]) < 0 { // most patterns
		return len(pattern) <= len(room) && room[:len(pattern)] == pattern && (prefix || len(pattern) == len(room))
	}
	for {
		literal, after, marked := strings.Cut(pattern, userMark)
		rest, ok := strings.CutPrefix(room, literal)
		if !ok {
			return false
		}
		room = rest
		if !marked {
			return prefix || room == ""
		}
		// A client without a user must not match "{user}" with nothing. An ID
		// that contains the character behind it would be ambiguous: with
		// "dm-{user}-*" the rooms of "ann-bob" would be those of "ann", too.
		if rest, ok = strings.CutPrefix(room, id.User); !ok || id.User == "" || after != "" && strings.IndexByte(id.User, after[0]) >= 0 {
			return false
		}
		room, pattern = rest, after
	}
}
