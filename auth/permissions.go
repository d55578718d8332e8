package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/stoa-io/stoa/access"
)

// permission is an access.Permission in JSON.
type permission struct {
	Namespace string   `json:"namespace"`
	Rooms     []string `json:"rooms,omitempty"`
	Allow     []string `json:"allow"`
}

// ParsePermissions reads permissions in JSON, such as the claim of a token:
//
//	{"permissions": [
//	  {"namespace": "chat", "rooms": ["lobby", "user-{user}", "team-*"], "allow": ["join", "emit"]},
//	  {"namespace": "news", "allow": ["connect"]}
//	]}
//
// See access.Permission for their meaning. The list may also stand alone.
// Unknown fields and actions are errors, and so are an empty list of rooms and
// null in place of one, by which the permission would be about the namespace
// itself: a token with a mistake must not allow more than its author meant. The
// names of fields are compared exactly. The error names the permission, counted
// from 0.
func ParsePermissions(claim []byte) ([]access.Permission, error) {
	var list []json.RawMessage
	if trimmed := bytes.TrimSpace(claim); bytes.HasPrefix(trimmed, []byte("[")) {
		if json.Unmarshal(claim, &list) != nil {
			return nil, errors.New("want a list of permissions")
		}
	} else {
		var wrapped *struct {
			Permissions []json.RawMessage `json:"permissions"`
		}
		if _, err := unmarshalStrictly(claim, &wrapped, "permissions"); err != nil {
			return nil, err
		}
		if wrapped == nil {
			return nil, errors.New("want a list of permissions")
		}
		list = wrapped.Permissions
	}
	if len(list) > access.MaxPermissions {
		return nil, fmt.Errorf("%d permissions: want at most %d", len(list), access.MaxPermissions)
	}
	all := make([]access.Permission, 0, len(list))
	for i, raw := range list {
		p, err := parsePermission(raw)
		if err != nil {
			return nil, fmt.Errorf("permissions[%d]: %w", i, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// The bounds of a permissionCache: claims, and bytes of a claim.
const (
	maxClaims    = 256
	maxClaimSize = 1 << 10
)

// permissionCache remembers the permissions of valid tokens: an issuer writes
// the same ones into the tokens of many users. Its zero value is empty.
type permissionCache struct {
	mu     sync.RWMutex
	claims map[string][]access.Permission // guarded by mu; not changed
}

// parse is ParsePermissions for a claim of a token whose signature is right, so
// that forgers cannot fill the cache. The slice is the caller's; the rooms are
// shared.
func (c *permissionCache) parse(claim []byte) ([]access.Permission, error) {
	c.mu.RLock()
	known, ok := c.claims[string(claim)]
	c.mu.RUnlock()
	if ok {
		return slices.Clone(known), nil
	}
	all, err := ParsePermissions(claim)
	if err != nil || len(claim) > maxClaimSize {
		return all, err
	}
	for i := range all {
		all[i].Rooms = slices.Clip(all[i].Rooms)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.claims == nil || len(c.claims) >= maxClaims {
		c.claims = make(map[string][]access.Permission)
	}
	c.claims[string(claim)] = slices.Clone(all)
	return all, nil
}

func parsePermission(raw json.RawMessage) (access.Permission, error) {
	var in permission
	fields, err := unmarshalStrictly(raw, &in, "namespace", "rooms", "allow")
	if err != nil {
		return access.Permission{}, err
	}
	p := access.Permission{Namespace: in.Namespace, Rooms: in.Rooms}
	if slices.Contains(fields, "rooms") && len(in.Rooms) == 0 { // null, too
		return p, errors.New("rooms is empty: leave it out for the namespace itself")
	}
	for _, name := range in.Allow {
		action, err := access.ParseActions(name)
		if err != nil {
			return p, err
		}
		p.Allow |= action
	}
	if len(in.Allow) == 0 {
		return p, errors.New("allow is empty")
	}
	return p, p.Validate()
}

// FormatPermissions returns permissions in JSON for ParsePermissions.
func FormatPermissions(permissions []access.Permission) ([]byte, error) {
	var claim struct {
		Permissions []permission `json:"permissions"`
	}
	claim.Permissions = make([]permission, 0, len(permissions))
	for i := range permissions {
		p := &permissions[i]
		if err := p.Validate(); err != nil {
			return nil, fmt.Errorf("auth: permissions[%d]: %w", i, err)
		}
		out := permission{Namespace: p.Namespace, Rooms: p.Rooms, Allow: strings.Split(p.Allow.String(), ",")}
		if p.Allow == access.AllActions {
			out.Allow = []string{"*"}
		}
		claim.Permissions = append(claim.Permissions, out)
	}
	return json.Marshal(claim)
}

// unmarshalStrictly refuses fields without one of the names, which it compares
// exactly, and those that are there twice. It returns the names that are there.
// Its errors quote no value.
func unmarshalStrictly(raw []byte, to any, names ...string) ([]string, error) {
	var fields object
	var there []string
	err := fields.unmarshal(raw)
	for _, m := range fields.members {
		name := string(m.name)
		switch {
		case !slices.Contains(names, name):
			return nil, fmt.Errorf("unknown field %q", name)
		case slices.Contains(there, name):
			return nil, fmt.Errorf("%s is there twice", name)
		}
		there = append(there, name)
	}
	if err == nil {
		err = json.Unmarshal(raw, to)
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return there, nil
	case errors.As(err, &wrong) && wrong.Field != "":
		return nil, fmt.Errorf("%s is a %s", wrong.Field, wrong.Value)
	case errors.As(err, &wrong):
		return nil, fmt.Errorf("want an object, not a %s", wrong.Value)
	}
	return nil, errors.New("malformed")
}
