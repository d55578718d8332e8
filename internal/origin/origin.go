package origin

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Expected says what patterns look like, for error messages.
const Expected = `want scheme://host[:port] such as https://app.example.com, https://*.example.com for all subdomains, ` +
	`scheme:// such as file://, null, or *`

// origin is a parsed origin or pattern, in the form in which both are compared.
type origin struct {
	scheme string // "" of the opaque origin, "null"
	host   string // "" of a scheme without hosts; an IPv6 address has no brackets
	port   int    // 0: the scheme's default, or none
	below  bool   // all subdomains of the host, at any depth; patterns only
}

// List is a set of allowed origins. The zero value allows only pages of the
// host itself. It is immutable.
type List struct {
	all     bool
	allowed []origin
}

// Parse returns the list of these patterns. The error names the first pattern
// that can never match.
func Parse(patterns []string) (List, error) {
	var l List
	for _, pattern := range patterns {
		if pattern == "*" {
			l.all = true
			continue
		}
		o, ok := parse(pattern, true)
		if !ok {
			return List{}, fmt.Errorf("%q: %s", pattern, Expected)
		}
		l.allowed = append(l.allowed, o)
	}
	return l, nil
}

// Allows reports whether a page of this origin may connect to the host, that of
// the Host header. secure means that the connection is over TLS: then a page
// that was not, which an attacker on its way could have changed, is none of the
// host itself.
func (l *List) Allows(header, host string, secure bool) bool {
	if l.all {
		return true
	}
	o, ok := parse(header, false)
	if !ok {
		return false
	}
	for i := range l.allowed {
		if l.allowed[i].matches(&o) {
			return true
		}
	}
	if defaultPort(o.scheme) == 0 {
		return false // not a page of a web server
	}
	if secure && o.scheme != "https" {
		return false
	}
	// Without TLS the server may be behind a proxy that ends it, so only the
	// page knows the scheme.
	own, ok := parse(o.scheme+"://"+host, false)
	return ok && own == o
}

// matches reports whether a pattern includes an origin.
func (p *origin) matches(o *origin) bool {
	if !p.below {
		return *p == *o
	}
	return p.scheme == o.scheme && p.port == o.port && strings.HasSuffix(o.host, "."+p.host)
}

// parse parses an origin as browsers write it, except that letters may be
// capitals and a default port may be there.
func parse(text string, pattern bool) (o origin, ok bool) {
	if text == "null" {
		return origin{}, true
	}
	scheme, rest, found := strings.Cut(text, "://")
	if !found || !isScheme(scheme) {
		return origin{}, false
	}
	o.scheme = strings.ToLower(scheme)
	if rest == "" {
		// Browsers write no origin of a web page so.
		return o, defaultPort(o.scheme) == 0
	}
	host, port := rest, ""
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, ']') {
		host, port = rest[:colon], rest[colon+1:]
		if o.port, ok = parsePort(port); !ok {
			return origin{}, false
		}
		if o.port == defaultPort(o.scheme) {
			o.port = 0
		}
	}
	if pattern {
		host, o.below = strings.CutPrefix(host, "*.")
	}
	if o.host, ok = parseHost(host); !ok || o.below && isAddress(o.host) {
		return origin{}, false
	}
	return o, true
}

// defaultPort returns the port that an origin of the scheme does not name, 0 if
// there is none.
func defaultPort(scheme string) int {
	switch scheme {
	case "http", "ws":
		return 80
	case "https", "wss":
		return 443
	}
	return 0
}

func isScheme(text string) bool {
	for i, b := range []byte(text) {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z':
		case i > 0 && (b >= '0' && b <= '9' || b == '+' || b == '-' || b == '.'):
		default:
			return false
		}
	}
	return text != ""
}

func parsePort(text string) (port int, ok bool) {
	for _, b := range []byte(text) {
		if b < '0' || b > '9' {
			return 0, false // Atoi takes a sign
		}
	}
	port, err := strconv.Atoi(text)
	return port, err == nil && port > 0 && port < 1<<16
}

// parseHost returns a host in lower case. Browsers write names in ASCII (xn--
// for others), so that a name with other characters can never match.
func parseHost(text string) (host string, ok bool) {
	if inner, bracket := strings.CutPrefix(text, "["); bracket {
		inner, bracket = strings.CutSuffix(inner, "]")
		address, err := netip.ParseAddr(inner)
		return address.String(), bracket && err == nil && address.Is6() && address.Zone() == ""
	}
	for _, b := range []byte(text) {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '-', b == '.', b == '_':
		default:
			return "", false
		}
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(text, "."), ".") {
		if label == "" {
			return "", false
		}
	}
	return strings.ToLower(text), true
}

func isAddress(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	_, err := strconv.Atoi(last)
	return err == nil || strings.Contains(host, ":")
}
