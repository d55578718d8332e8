package peeraddr

import (
	"net/netip"
	"strconv"
	"strings"
)

// maxHops is how many proxies a field may name. A longer chain is a loop or an
// attack.
const maxHops = 32

// Field is a field of a request that names its client.
type Field uint8

// The fields. The zero value is X-Forwarded-For.
const (
	XForwardedFor Field = iota
	Forwarded           // RFC 7239
	NoField             // proxies name their clients in no field
)

// Name returns the name of the field, "" of NoField.
func (f Field) Name() string {
	switch f {
	case XForwardedFor:
		return "X-Forwarded-For"
	case Forwarded:
		return "Forwarded"
	}
	return ""
}

// Client returns the address of the client that sent a request through trusted
// proxies. lines are the values of the field in the order of the request. Each
// proxy appends the address of its peer, so the client is the last address that
// is no trusted proxy, or the first one if all are. The client has chosen the
// text in front of it, which is not even read.
//
// The address is invalid if there is none: because the field is missing, or
// because a proxy conceals it ("unknown", "_hidden"); then ok is true. ok is
// false if a trusted proxy's part of the field is malformed. The port is 0 if
// it is not known.
func (f Field) Client(lines []string, trusted *Networks) (client netip.AddrPort, ok bool) {
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		elements, ok := f.split(lines[i])
		if !ok {
			return netip.AddrPort{}, false
		}
		for j := len(elements) - 1; j >= 0; j-- {
			if hops++; hops > maxHops {
				return netip.AddrPort{}, false
			}
			address, ok := f.parse(elements[j])
			if !ok || !address.IsValid() {
				return netip.AddrPort{}, ok
			}
			client = address
			if !trusted.Contains(address.Addr()) {
				return client, true
			}
		}
	}
	return client, true
}

// split returns the elements of a line that are not empty (RFC 9110 section
// 5.6.1).
func (f Field) split(line string) (elements []string, ok bool) {
	quoted, start := false, 0
	add := func(element string) {
		if element = trim(element); element != "" {
			elements = append(elements, element)
		}
	}
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case quoted && b == '\\':
			i++
		case b == '"' && f == Forwarded:
			quoted = !quoted
		case b == ',' && !quoted:
			add(line[start:i])
			start = i + 1
		}
	}
	add(line[start:])
	return elements, !quoted
}

// parse returns the address of an element, an invalid one if it conceals it.
func (f Field) parse(element string) (address netip.AddrPort, ok bool) {
	if f == Forwarded {
		var found bool
		if element, found, ok = forOf(element); !ok || !found {
			return netip.AddrPort{}, ok
		}
	}
	return parseNode(element, f == XForwardedFor)
}

// forOf returns the value of the parameter "for" of an element of Forwarded
// (RFC 7239 section 4).
func forOf(element string) (value string, found, ok bool) {
	for rest := element; ; {
		name, after, hasValue := strings.Cut(rest, "=")
		if !hasValue || !isToken(name) {
			return "", false, false
		}
		var text string
		if text, rest, ok = cutValue(after); !ok {
			return "", false, false
		}
		if strings.EqualFold(name, "for") {
			if found {
				return "", false, false // which of them?
			}
			value, found = text, true
		}
		if rest = trim(rest); rest == "" {
			return value, found, true
		}
		if rest[0] != ';' {
			return "", false, false
		}
		if rest = trim(rest[1:]); rest == "" {
			return value, found, true
		}
	}
}

// cutValue cuts a token or a quoted string (RFC 9110 section 5.6.4) from the
// front of a text.
func cutValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexFunc(text, func(r rune) bool { return !isTokenByte(r) })
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:], end > 0
	}
	var unquoted strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return unquoted.String(), text[i+1:], true
		case '\\':
			if i++; i == len(text) {
				return "", "", false
			}
		}
		unquoted.WriteByte(text[i])
	}
	return "", "", false
}

// parseNode parses a node of RFC 7239 section 6: an address with or without a
// port, or an identifier that conceals it. X-Forwarded-For, which no standard
// describes, has the same, but for IPv6 addresses without brackets.
func parseNode(text string, bare bool) (address netip.AddrPort, ok bool) {
	if bare {
		if a, err := netip.ParseAddr(text); err == nil {
			return addressOf(a, 0)
		}
	}
	host, port := text, ""
	if colon := strings.LastIndexByte(text, ':'); colon > strings.LastIndexByte(text, ']') {
		host, port = text[:colon], text[colon+1:]
		if port == "" {
			return netip.AddrPort{}, false
		}
	}
	number, ok := parsePort(port)
	if !ok {
		return netip.AddrPort{}, false
	}
	if strings.EqualFold(host, "unknown") || isObfuscated(host) {
		return netip.AddrPort{}, true
	}
	inner, bracket := strings.CutPrefix(host, "[")
	if bracket {
		if inner, bracket = strings.CutSuffix(inner, "]"); !bracket {
			return netip.AddrPort{}, false
		}
	}
	a, err := netip.ParseAddr(inner)
	if err != nil || a.Is6() != bracket {
		return netip.AddrPort{}, false
	}
	return addressOf(a, number)
}

// addressOf returns an IPv4 address that was written as an IPv6 one in its own
// form, so that one client does not look like two. A zone means nothing on this
// machine.
func addressOf(a netip.Addr, port uint16) (netip.AddrPort, bool) {
	if a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), port), true
}

// parsePort returns 0 for a port that is missing or concealed.
func parsePort(text string) (port uint16, ok bool) {
	if text == "" || isObfuscated(text) {
		return 0, true
	}
	if len(text) > 5 || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	number, err := strconv.ParseUint(text, 10, 16)
	return uint16(number), err == nil
}

// isObfuscated reports whether a text is an identifier of RFC 7239 section 6.3.
func isObfuscated(text string) bool {
	rest, found := strings.CutPrefix(text, "_")
	return found && rest != "" && strings.IndexFunc(rest, func(r rune) bool {
		return !isAlphanumeric(r) && r != '.' && r != '_' && r != '-'
	}) < 0
}

func isToken(text string) bool {
	return text != "" && strings.IndexFunc(text, func(r rune) bool { return !isTokenByte(r) }) < 0
}

// isTokenByte reports whether a token may have the character (RFC 9110 section
// 5.6.2).
func isTokenByte(r rune) bool {
	return isAlphanumeric(r) || r < 0x80 && strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

func isAlphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

func trim(text string) string { return strings.Trim(text, " \t") }
