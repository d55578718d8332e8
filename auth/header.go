package auth

import (
	"encoding/json"
	"strings"
	"sync"
)

// header is the part of a token's header that matters.
type header struct {
	id        string // kid; empty for none
	algorithm string // alg, one of allAlgorithms
}

// parseHeader reads the first part of a token. Its error is an *Error.
func parseHeader(part string) (header, error) {
	malformed := &Error{Result: ResultMalformed}
	content, err := encoding.DecodeString(part)
	if err != nil {
		return header{}, malformed
	}
	// A map compares names exactly, unlike a struct.
	var fields map[string]json.RawMessage
	if json.Unmarshal(content, &fields) != nil {
		return header{}, malformed
	}
	if _, ok := fields["crit"]; ok {
		// RFC 7515 section 4.1.11: an extension that is not understood.
		return header{}, malformed
	}
	var h header
	if raw, ok := fields["kid"]; ok && json.Unmarshal(raw, &h.id) != nil {
		return header{}, malformed
	}
	if json.Unmarshal(fields["alg"], &h.algorithm) != nil || h.algorithm == "" {
		return header{}, &Error{Result: ResultAlgorithm}
	}
	return h, nil
}

// maxHeaders bounds a headerCache.
const maxHeaders = 64

// headerCache remembers headers of valid tokens: an issuer writes the same one
// into all tokens of a key. Its zero value is empty.
type headerCache struct {
	mu      sync.RWMutex
	headers map[string]header
}

func (c *headerCache) lookup(part string) (header, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	h, ok := c.headers[part]
	return h, ok
}

// add remembers the header of a token whose signature is right, so that forgers
// cannot fill the cache.
func (c *headerCache) add(part string, h header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.headers == nil || len(c.headers) >= maxHeaders {
		c.headers = make(map[string]header)
	}
	c.headers[strings.Clone(part)] = h // not the rest of the token
}
