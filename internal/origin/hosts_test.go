package origin

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	for _, c := range []struct {
		name    string
		allow   string // hosts, separated by blanks
		host    string
		allowed bool
	}{
		{"no list", "", "evil.test", true},
		{"all", "*", "evil.test", true},
		{"all, with another", "a.test *", "evil.test", true},
		{"no host, a probe of HTTP/1.0", "a.test", "", true},
		{"listed", "a.test", "a.test", true},
		{"listed, with a port", "a.test", "a.test:8443", true},
		{"listed, in capitals", "A.test", "a.TEST", true},
		{"fully qualified", "a.test", "a.test.:80", true},
		{"listed fully qualified", "a.test.", "a.test", true},
		{"two dots", "a.test", "a.test..", false},
		{"another", "a.test", "evil.test", false},
		{"listed as the end", "a.test", "evil-a.test", false},
		{"a subdomain", "a.test", "b.a.test", false},
		{"listed as a part", "a.test", "a.test.evil.test", false},
		{"listed as a user", "a.test", "a.test@evil.test", false},
		{"listed as a path", "a.test", "evil.test/a.test", false},
		{"listed after a port", "a.test", "evil.test:80:a.test", false},
		{"a name in ASCII", "xn--bcher-kva.example", "XN--bcher-kva.example", true},
		{"the same name in Unicode", "xn--bcher-kva.example", "bücher.example", false},
		{"a letter that folds to ASCII", "k.test", "\u212a.test", false}, // the Kelvin sign
		{"an IPv6 address", "2001:db8::1", "[2001:db8::1]:8080", true},
		{"an IPv6 address in another form", "2001:DB8:0::1", "[2001:db8::1]", true},
		{"an IPv6 address and more", "2001:db8::1", "[2001:db8::1].evil.test", false},
		{"an IPv4 address", "192.0.2.1", "192.0.2.1:80", true},
		{"another address", "192.0.2.1", "192.0.2.2", false},
		{"localhost", "a.test", "LocalHost:1", true},
		{"below localhost", "a.test", "app.localhost.", true},
		{"localhost as the start", "a.test", "localhost.evil.test", false},
		{"localhost as the end", "a.test", "evil-localhost", false},
		{"loopback", "a.test", "127.9.9.9:80", true},
		{"loopback, IPv6", "a.test", "[::1]", true},
		{"loopback, mapped", "a.test", "[::ffff:127.0.0.1]:80", true},
		{"loopback as the start of a name", "a.test", "127.0.0.1.evil.test", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := ParseHosts(strings.Fields(c.allow))
			if err != nil {
				t.Fatal(err)
			}
			if got := h.Allows(c.host); got != c.allowed {
				t.Errorf("%q with %q is allowed: %t, want %t", c.host, c.allow, got, c.allowed)
			}
		})
	}
}

func TestParseHostsRefuses(t *testing.T) {
	for _, host := range []string{
		"", " ", "a.test:80", "[::1]", "http://a.test", "a.test/", "ann@a.test", "*.a.test", "a..test", ".a.test", "bücher.example",
		"::1%lo", "1::2::3", "a b",
	} {
		if _, err := ParseHosts([]string{"good.test", host}); err == nil {
			t.Errorf("%q was accepted", host)
		}
	}
}

// An allowed host is a name that was listed, or one of this machine.
func FuzzHosts(f *testing.F) {
	for _, listed := range []string{"a.test", "2001:db8::1", "192.0.2.1", "a.test."} {
		for _, host := range []string{"a.test:80", "A.test.", "[2001:db8::1]:80", "localhost", "b.localhost:1", "127.0.0.1.evil.test", "a.test@evil.test"} {
			f.Add(listed, host)
		}
	}
	f.Fuzz(func(t *testing.T, listed, host string) {
		h, err := ParseHosts([]string{listed})
		if err != nil || listed == "*" || host == "" || !h.Allows(host) {
			return
		}
		name := strings.ToLower(host)
		for _, c := range name {
			if c > 0x7e {
				t.Fatalf("%q was allowed", host)
			}
		}
		if withoutPort, _, err := net.SplitHostPort(name); err == nil {
			name = withoutPort
		}
		name = strings.TrimSuffix(strings.Trim(name, "[]"), ".")
		want := strings.TrimSuffix(strings.ToLower(listed), ".")
		got, gotErr := netip.ParseAddr(name)
		wanted, wantErr := netip.ParseAddr(want)
		switch {
		case name == want, name == "localhost", strings.HasSuffix(name, ".localhost"):
		case gotErr == nil && (got.Unmap().IsLoopback() || wantErr == nil && got == wanted):
		default:
			t.Errorf("%q was allowed by %q", host, listed)
		}
	})
}
