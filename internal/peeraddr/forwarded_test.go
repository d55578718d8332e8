package peeraddr_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/peeraddr"
)

const (
	concealed = "concealed"
	malformed = "malformed"
)

// find returns the client as text.
func find(f peeraddr.Field, lines []string, trusted *peeraddr.Networks) string {
	client, ok := f.Client(lines, trusted)
	switch {
	case !ok:
		return malformed
	case !client.IsValid():
		return concealed
	}
	return client.String()
}

func TestClient(t *testing.T) {
	trusted := networks(t, "10.0.0.0/8", "2001:db8:f::/48")
	long := strings.Repeat("10.0.0.1,", 40)
	for _, c := range []struct {
		field peeraddr.Field
		lines string // separated by line breaks
		want  string
	}{
		{peeraddr.XForwardedFor, "192.0.2.1", "192.0.2.1:0"},
		{peeraddr.XForwardedFor, "192.0.2.1:4711", "192.0.2.1:4711"},
		{peeraddr.XForwardedFor, "2001:db8::1", "[2001:db8::1]:0"},
		{peeraddr.XForwardedFor, "[2001:DB8::1]", "[2001:db8::1]:0"},
		{peeraddr.XForwardedFor, "[2001:db8::1]:4711", "[2001:db8::1]:4711"},
		{peeraddr.XForwardedFor, "::ffff:192.0.2.1", "192.0.2.1:0"},
		{peeraddr.XForwardedFor, " 198.51.100.9 ,\t192.0.2.1 ", "192.0.2.1:0"},
		{peeraddr.XForwardedFor, "198.51.100.9, 192.0.2.1, 10.0.0.2, 10.0.0.1", "192.0.2.1:0"},
		{peeraddr.XForwardedFor, "198.51.100.9, 192.0.2.1, ::ffff:10.0.0.2, 2001:db8:f::1", "192.0.2.1:0"},
		{peeraddr.XForwardedFor, "198.51.100.9\n192.0.2.1\n10.0.0.1", "192.0.2.1:0"},
		{peeraddr.XForwardedFor, "192.0.2.1, 10.0.0.1, , ", "192.0.2.1:0"},
		{peeraddr.XForwardedFor, "10.0.0.3, 10.0.0.2", "10.0.0.3:0"}, // the client is one of us
		{peeraddr.XForwardedFor, "", concealed},
		{peeraddr.XForwardedFor, ", ,", concealed},
		{peeraddr.XForwardedFor, "192.0.2.1, unknown", concealed},
		{peeraddr.XForwardedFor, "nonsense, 192.0.2.1", "192.0.2.1:0"}, // of the client, and not read
		{peeraddr.XForwardedFor, "192.0.2.1, nonsense", malformed},
		{peeraddr.XForwardedFor, "192.0.2.1, 10.0.0.1 10.0.0.2", malformed},
		{peeraddr.XForwardedFor, `"192.0.2.1"`, malformed},
		{peeraddr.XForwardedFor, "192.0.2.01", malformed},
		{peeraddr.XForwardedFor, "192.0.2.1:", malformed},
		{peeraddr.XForwardedFor, "192.0.2.1:65536", malformed},
		{peeraddr.XForwardedFor, "192.0.2.1:+80", malformed},
		{peeraddr.XForwardedFor, "fe80::1%eth0", malformed},
		{peeraddr.XForwardedFor, "[192.0.2.1]", malformed},
		{peeraddr.XForwardedFor, "[2001:db8::1", malformed},
		{peeraddr.XForwardedFor, "for=192.0.2.1", malformed},
		{peeraddr.XForwardedFor, long, malformed},

		{peeraddr.Forwarded, "for=192.0.2.1", "192.0.2.1:0"},
		{peeraddr.Forwarded, `For="192.0.2.1:4711"`, "192.0.2.1:4711"},
		{peeraddr.Forwarded, `for="[2001:db8::1]"`, "[2001:db8::1]:0"},
		{peeraddr.Forwarded, `for="[2001:db8::1]:4711";proto=https;by=10.0.0.1`, "[2001:db8::1]:4711"},
		{peeraddr.Forwarded, `proto=https;host="a,b;for=6.6.6.6";for="192.0.2.1:_port"`, "192.0.2.1:0"},
		{peeraddr.Forwarded, `for="192\.0.2.1"`, "192.0.2.1:0"},
		{peeraddr.Forwarded, "for=198.51.100.9, for=192.0.2.1, for=10.0.0.1", "192.0.2.1:0"},
		{peeraddr.Forwarded, "for=198.51.100.9\nfor=192.0.2.1;\nfor=10.0.0.1", "192.0.2.1:0"},
		{peeraddr.Forwarded, `for="` + "\nfor=192.0.2.1", "192.0.2.1:0"}, // the first line is not read
		{peeraddr.Forwarded, "for=unknown", concealed},
		{peeraddr.Forwarded, "for=Unknown", concealed},
		{peeraddr.Forwarded, "for=_hidden", concealed},
		{peeraddr.Forwarded, `for="_hidden:_port"`, concealed},
		{peeraddr.Forwarded, "for=192.0.2.1, for=_hidden, for=10.0.0.1", concealed},
		{peeraddr.Forwarded, "proto=https", concealed},
		{peeraddr.Forwarded, "192.0.2.1", malformed},
		{peeraddr.Forwarded, "for=", malformed},
		{peeraddr.Forwarded, "for", malformed},
		{peeraddr.Forwarded, "for =192.0.2.1", malformed},
		{peeraddr.Forwarded, "for=192.0.2.1 proto=https", malformed},
		{peeraddr.Forwarded, "for=192.0.2.1;for=192.0.2.2", malformed},
		{peeraddr.Forwarded, "for=[2001:db8::1]", malformed}, // not quoted
		{peeraddr.Forwarded, `for="2001:db8::1"`, malformed}, // no brackets
		{peeraddr.Forwarded, `for="192.0.2.1`, malformed},
		{peeraddr.Forwarded, `for="192.0.2.1\`, malformed},
		{peeraddr.Forwarded, `for="192.0.2.1"x`, malformed},
		{peeraddr.Forwarded, "for=_", malformed},
		{peeraddr.Forwarded, `for="_a b"`, malformed},
		// A quotation mark of the client cannot hide the proxy's element.
		{peeraddr.Forwarded, `for=6.6.6.6;x=", for=192.0.2.1`, malformed},
		{peeraddr.Forwarded, `for=6.6.6.6;x=", for="[2001:db8::1]"`, malformed},
		{peeraddr.Forwarded, `for=6.6.6.6;x="\, for="[2001:db8::1]"`, malformed},
	} {
		if got := find(c.field, strings.Split(c.lines, "\n"), trusted); got != c.want {
			t.Errorf("%s: %.80s: got %s, want %s", c.field.Name(), c.lines, got, c.want)
		}
	}
	for _, f := range []peeraddr.Field{peeraddr.XForwardedFor, peeraddr.Forwarded} {
		if got := find(f, nil, trusted); got != concealed {
			t.Errorf("%s: without a line: got %s", f.Name(), got)
		}
	}
}

// No line of a client, and no start of the proxy's line, changes the address
// that the proxy has appended.
func FuzzClient(f *testing.F) {
	for _, seed := range []string{"", "192.0.2.1", "for=192.0.2.1", `for="[2001:db8::1]:80";by=_x`, `for="`, `x="\`, "unknown, _a", "10.0.0.1,,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, forged string) {
		trusted := networks(t, "10.0.0.0/8")
		for _, c := range []struct {
			field    peeraddr.Field
			appended string
		}{
			{peeraddr.XForwardedFor, "203.0.113.5, 10.0.0.1"},
			{peeraddr.Forwarded, "for=203.0.113.5;proto=https, for=10.0.0.1"},
			{peeraddr.Forwarded, `for="203.0.113.5", for="10.0.0.1:80"`},
		} {
			const want = "203.0.113.5:0"
			if got := find(c.field, []string{forged, c.appended}, trusted); got != want {
				t.Errorf("%s: after the line %q the client is %s, want %s", c.field.Name(), forged, got, want)
			}
			got := find(c.field, []string{forged + ", " + c.appended}, trusted)
			if got != want && !(got == malformed && c.field == peeraddr.Forwarded) {
				t.Errorf("%s: after %q the client is %s, want %s", c.field.Name(), forged, got, want)
			}
			// Alone, it is an address or none, and does not panic.
			if got := find(c.field, []string{forged}, trusted); !slices.Contains([]string{malformed, concealed}, got) && !strings.Contains(got, ":") {
				t.Errorf("%s: %q is %q", c.field.Name(), forged, got)
			}
		}
	})
}
