package access

import (
	"errors"
	"strings"
)

// ParsePermission reads a permission in one line, for flags and lists of keys:
// "NAMESPACE:ROOMS:ACTIONS", or "NAMESPACE:ACTIONS" for the namespace itself.
// Rooms and actions are separated by commas:
//
//	chat:lobby,team-*:join,emit
//	news:connect
//
// A namespace with a colon and a room with a comma have no such form.
func ParsePermission(text string) (Permission, error) {
	namespace, rest, ok := strings.Cut(text, ":")
	if !ok {
		return Permission{}, errors.New("want NAMESPACE:ROOMS:ACTIONS or NAMESPACE:ACTIONS, such as chat:lobby,team-*:join,emit")
	}
	p := Permission{Namespace: namespace}
	// The last colon: the name of a room may have one, too.
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		p.Rooms = strings.Split(rest[:i], ",")
		rest = rest[i+1:]
	}
	for name := range strings.SplitSeq(rest, ",") {
		action, err := ParseActions(name)
		if err != nil {
			return Permission{}, err
		}
		p.Allow |= action
	}
	return p, p.Validate()
}
