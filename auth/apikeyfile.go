package auth

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/internal/certwatch"
)

// hashPrefix marks the hash of a key in a list.
const hashPrefix = "sha256:"

// ParseKeys reads a list of API keys, one per line: the name, the key or
// "sha256:" and its hash, and then scopes and permissions in any number (see
// access.ParsePermission), all separated by blanks. A line that begins with #
// is a comment.
//
//	# name  key                                     options
//	billing sk_0123456789abcdef0123456789abcdef01   scope=emit,connections
//	bridge  sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 allow=chat:*:join,emit
//
// The error names the line, and quotes no key.
func ParseKeys(list string) ([]APIKey, error) {
	var keys []APIKey
	var errs []error
	number := 0
	for line := range strings.Lines(list) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		key, err := parseKey(fields)
		if err == nil {
			_, err = key.hash()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("auth: line %d: %w", number, err))
			continue
		}
		keys = append(keys, key)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return keys, nil
}

// LoadKeys reads a file for ParseKeys.
func LoadKeys(path string) ([]APIKey, error) {
	content, err := certwatch.ReadRegular(path)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	keys, err := ParseKeys(string(content))
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", path, err)
	}
	return keys, nil
}

// parseKey reads the fields of a line.
func parseKey(fields []string) (APIKey, error) {
	if len(fields) < 2 {
		return APIKey{}, errors.New("want a name and a key")
	}
	key := APIKey{Name: fields[0], Secret: fields[1]}
	if sum, ok := strings.CutPrefix(fields[1], hashPrefix); ok {
		key.Secret, key.SHA256 = "", sum
	}
	for i, field := range fields[2:] {
		if scopes, ok := strings.CutPrefix(field, "scope="); ok {
			key.Scopes = append(key.Scopes, strings.Split(scopes, ",")...)
			continue
		}
		text, ok := strings.CutPrefix(field, "allow=")
		if !ok {
			// It may be a key in the wrong place, so it is not quoted.
			return APIKey{}, fmt.Errorf("field %d: want scope=NAMES or allow=PERMISSION", i+3)
		}
		permission, err := access.ParsePermission(text)
		if err != nil {
			return APIKey{}, fmt.Errorf("field %d: %w", i+3, err)
		}
		key.Permissions = append(key.Permissions, permission)
	}
	return key, nil
}
