package origin

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Hosts is a set of hosts that requests may be for. The zero value allows every
// host; any other value allows loopback names and addresses, too. It is
// immutable.
type Hosts struct {
	some  bool     // not every host is allowed
	names []string // in the form of hostName
}

// ParseHosts returns the set of these names and addresses, without ports; "*"
// stands for every host, and so does an empty list. The error names the first
// one that can never match.
func ParseHosts(hosts []string) (Hosts, error) {
	h := Hosts{some: len(hosts) > 0 && !slices.Contains(hosts, "*")}
	for _, host := range hosts {
		if host == "*" {
			continue
		}
		text := host
		if strings.Contains(host, ":") {
			text = "[" + host + "]"
		}
		if _, ok := parseHost(text); !ok {
			return Hosts{}, fmt.Errorf("%q: want a name or address without a port, such as chat.example.com, or *", host)
		}
		h.names = append(h.names, hostName(host))
	}
	return h, nil
}

// Allows checks a Host header. A page can give its own name an address of the
// visitor's machine or network (DNS rebinding): its requests are then of the
// same origin as the server's, and only the name tells them apart. Browsers
// always send one.
func (h *Hosts) Allows(header string) bool {
	if !h.some || header == "" {
		return true
	}
	if strings.ContainsFunc(header, func(r rune) bool { return r > '~' }) {
		return false // such letters may have a lower case in ASCII
	}
	name := hostName(withoutPort(header))
	if address, err := netip.ParseAddr(name); err == nil && address.Unmap().IsLoopback() {
		return true
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(h.names, name)
}

// IsAddress reports whether a Host header has an IP address in place of a name.
func IsAddress(header string) bool {
	_, err := netip.ParseAddr(withoutPort(header))
	return err == nil
}

// withoutPort returns the host in a Host header.
func withoutPort(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		header = host
	}
	return strings.Trim(header, "[]")
}

// hostName returns the form in which hosts are compared: lower case, without
// the dot of a fully qualified name, and the usual form of an address.
func hostName(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if address, err := netip.ParseAddr(host); err == nil {
		return address.String()
	}
	return host
}
