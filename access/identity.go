package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

// The limits of an identity, in bytes and in number.
const (
	MaxUser        = 128
	MaxInfo        = 2 << 10
	MaxPermissions = 256
)

// Identity is the user of a connection, with its permissions. The zero value is
// a client that is not authenticated. It must not change once a connection has
// it.
type Identity struct {
	// User is the ID of the user, at most MaxUser bytes of valid UTF-8 without
	// control characters, invisible ones (such as U+200B, and those that turn
	// the direction of text) and U+FFFD, which decoders put in place of
	// unreadable bytes: two users must not look the same, nor become one. Empty
	// means that the client is not authenticated.
	User string
	// Info describes the user to others: JSON of at most MaxInfo bytes. Nil is
	// none.
	Info json.RawMessage
	// Expires is when the identity ends; zero means never.
	Expires time.Time
	// Permissions are what the connection may do, at most MaxPermissions.
	Permissions []Permission
}

// IsZero reports whether the client is not authenticated.
func (id *Identity) IsZero() bool {
	return id.User == "" && id.Info == nil && id.Expires.IsZero() && id.Permissions == nil
}

// Validate returns an error that names every field that cannot be used.
func (id *Identity) Validate() error {
	var errs []error
	if len(id.User) > MaxUser || !isPlain(id.User) {
		errs = append(errs, fmt.Errorf("access: User: want at most %d bytes of UTF-8 without control or invisible characters", MaxUser))
	}
	if len(id.Info) > MaxInfo || id.Info != nil && !json.Valid(id.Info) {
		errs = append(errs, fmt.Errorf("access: Info: want JSON of at most %d bytes", MaxInfo))
	}
	if len(id.Permissions) > MaxPermissions {
		errs = append(errs, fmt.Errorf("access: Permissions: want at most %d", MaxPermissions))
	}
	for i := range id.Permissions {
		if err := id.Permissions[i].Validate(); err != nil {
			errs = append(errs, fmt.Errorf("access: Permissions[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// isPlain reports whether a name is valid UTF-8 without control characters,
// those that are not seen, and the one for unreadable bytes.
func isPlain(name string) bool {
	for _, r := range name {
		switch {
		case r < 0x7f:
			if r < ' ' {
				return false
			}
		case r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			return false
		}
	}
	return true
}
