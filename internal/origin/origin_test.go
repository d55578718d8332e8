package origin

import (
	"net/url"
	"strings"
	"testing"
)

func TestAllows(t *testing.T) {
	for _, c := range []struct {
		name    string
		allow   string // patterns, separated by blanks
		origin  string
		allowed bool
	}{
		{"own host", "", "https://stoa.test", true},
		{"own host in capitals", "", "HTTP://STOA.Test", true},
		{"own host with the default port", "", "https://stoa.test:443", true},
		{"own host with the other default port", "", "https://stoa.test:80", false},
		{"another port of the own host", "", "https://stoa.test:8080", false},
		{"another host", "", "https://evil.test", false},
		{"own host as a part", "", "https://stoa.test.evil.test", false},
		{"own host as a user", "", "https://stoa.test@evil.test", false},
		{"own host as the end of another", "", "https://mystoa.test", false},
		{"null", "", "null", false},
		{"empty", "", "", false},
		{"a path", "", "https://stoa.test/", false},
		{"a blank", "", "https://stoa.test ", false},
		{"a scheme alone", "", "https://", false},
		{"an app's scheme with the own host", "", "capacitor://stoa.test", false},

		{"listed", "https://a.test https://b.test:8443", "https://b.test:8443", true},
		{"listed in capitals", "https://a.test", "https://A.test", true},
		{"listed with capitals", "HTTPS://A.Test", "https://a.test", true},
		{"another scheme", "https://a.test", "http://a.test", false},
		{"another port", "https://a.test", "https://a.test:8443", false},
		{"own host in addition", "https://a.test", "http://stoa.test", true},
		{"a default port in the pattern", "https://app.example.org:443", "https://app.example.org", true},
		{"a default port in the origin", "http://app.example.org", "http://app.example.org:80", true},
		{"the default port of another scheme", "http://app.example.org:443", "http://app.example.org", false},
		{"an IPv6 address", "http://[::1]:5173", "http://[::1]:5173", true},
		{"an IPv6 address in another form", "http://[0:0::1]:5173", "http://[::1]:5173", true},
		{"a name in ASCII", "https://xn--bcher-kva.example", "https://xn--bcher-kva.example", true},

		{"a subdomain", "https://*.example.com", "https://app.example.com", true},
		{"a subdomain of a subdomain", "https://*.example.com", "https://a.b.example.com", true},
		{"a subdomain in capitals", "https://*.Example.com", "https://App.EXAMPLE.com", true},
		{"a subdomain with the default port", "https://*.example.com:443", "https://app.example.com", true},
		{"a subdomain with another port", "https://*.example.com", "https://app.example.com:8443", false},
		{"a subdomain with the port", "http://*.localhost:5173", "http://app.localhost:5173", true},
		{"a subdomain with another scheme", "https://*.example.com", "http://app.example.com", false},
		{"the domain itself", "https://*.example.com", "https://example.com", false},
		{"a dot in front of the domain", "https://*.example.com", "https://.example.com", false},
		{"the end of another domain", "https://*.example.com", "https://badexample.com", false},
		{"the domain as a part", "https://*.example.com", "https://app.example.com.evil.test", false},
		{"the domain as a user", "https://*.example.com", "https://evil.test@app.example.com", false},
		{"the domain behind a path", "https://*.example.com", "https://evil.test/app.example.com", false},
		{"the pattern itself", "https://*.example.com", "https://*.example.com", false},

		{"null by name", "null", "null", true},
		{"another one than null", "null", "https://a.test", false},
		{"an app's scheme", "capacitor://localhost", "capacitor://localhost", true},
		{"another app's scheme", "capacitor://localhost", "ionic://localhost", false},
		{"a scheme without hosts", "file://", "file://", true},
		{"a scheme without hosts, with one", "file://", "file://stoa.test", false},
		{"null is no scheme without hosts", "file://", "null", false},
		{"an extension", "chrome-extension://abcdef", "chrome-extension://abcdef", true},

		{"all", "*", "https://evil.test", true},
		{"all, null", "*", "null", true},
		{"all, with another", "https://a.test *", "https://evil.test", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := Parse(strings.Fields(c.allow))
			if err != nil {
				t.Fatal(err)
			}
			if got := l.Allows(c.origin, "stoa.test", false); got != c.allowed {
				t.Errorf("%q with %q is allowed: %t, want %t", c.origin, c.allow, got, c.allowed)
			}
		})
	}
}

// attacks are origins that resemble an allowed one. Browsers send few of them:
// the rest tests that no other program finds a way around the list.
var attacks = map[string][]string{
	"https://example.com": {
		"https://evil-example.com", "https://evilexample.com", "https://example.com.evil.com", "https://example.com-evil.com",
		"https://example.comevil.com", "https://example.com.", "https://example.com..", "https://.example.com", "https://www.example.com",
		"http://example.com", "ws://example.com", "wss://example.com", "ftp://example.com", "//example.com", "example.com", "https:example.com",
		"https:/example.com", "https:///example.com", "https://example.com:80", "https://example.com:4430", "https://example.com:443443",
		"https://example.com:0443x", "https://example.com:-443", "https://example.com: 443", "https://example.com:443:443", "https://example.com:",
		"https://example.com@evil.com", "https://example.com:443@evil.com", "https://evil.com@example.com", "https://:@example.com", "https://@example.com",
		"https://evil.com#example.com", "https://evil.com?example.com", "https://evil.com/example.com", "https://evil.com\\example.com",
		"https://example.com/", "https://example.com?", "https://example.com#", "https://example.com%2eevil.com", "https://example%2ecom",
		"https://ex\u00e4mple.com", "https://\u0435xample.com", "https://example\u3002com", "https://example\uff0ecom", "https://exam\u00adple.com",
		"https://xn--xample-2of.com", "https://\u212aexample.com", "https://example.com\x00", "https://example.com\x00.evil.com", "\x00https://example.com",
		"https://example.com https://evil.com", "https://example.com,https://evil.com", "https://example.com\t", "https://[example.com]", "null", "NULL", "*", "",
		"https://*", "https://*.com",
	},
	"https://*.example.com": {
		"https://example.com", "https://evil-example.com", "https://a.evil-example.com", "https://a.example.com.evil.com", "https://.example.com",
		"https://a..example.com", "https://*.example.com", "https://a.example.com.", "https://evil.com@a.example.com", "https://a@b.example.com",
		"https://evil.com/.example.com", "https://evil.com#.example.com", "https://evil.com?.example.com", "https://evil.com\\.example.com",
		"https://evil.com:443.example.com", "https://evil.com:.example.com", "https://[::1].example.com", "https://[::1.example.com",
		"http://a.example.com", "https://a.example.com:8443", "https://a.example.com:80", "https://b\u00fccher.example.com", "https://a%2eexample.com", "null",
	},
	"https://xn--bcher-kva.example": {"https://b\u00fccher.example", "https://bucher.example", "https://xn--bcher-kva.example.evil.com"},
	"http://[2001:db8::1]:8080": {
		"http://[2001:db8::1]", "http://[2001:db8::1]:80", "http://2001:db8::1:8080", "http://[2001:db8::1%25eth0]:8080", "http://[2001:db8::1%eth0]:8080",
		"http://[2001:db8::2]:8080", "http://[2001:db8::1]:8080:8080", "http://[2001:db8::1]evil.com:8080", "http://[2001:db8::1].:8080", "http://[::ffff:1.2.3.4]:8080",
	},
	"http://192.0.2.1":      {"http://192.0.2.1.", "http://192.0.2.10", "http://0192.0.2.1", "http://192.0.513", "http://3221225985", "http://[::ffff:192.0.2.1]"},
	"null":                  {"", "NULL", "null ", "null://", "null.example", "https://null"},
	"file://":               {"null", "file", "file:", "file:///", "file://evil.com", "files://"},
	"capacitor://localhost": {"capacitor://", "capacitor://localhost.evil.com", "capacitor://evil.com", "http://localhost", "ionic://localhost"},
}

func TestAttacks(t *testing.T) {
	for pattern, origins := range attacks {
		l, err := Parse([]string{pattern})
		if err != nil {
			t.Fatal(err)
		}
		for _, origin := range origins {
			for _, host := range []string{"", "stoa.test", "evil.test"} {
				if l.Allows(origin, host, false) {
					t.Errorf("%q with %q and the host %q is allowed", origin, pattern, host)
				}
			}
		}
	}
}

// A page that was loaded without TLS is none of a server with TLS.
func TestAllowsSecure(t *testing.T) {
	listed, err := Parse([]string{"http://stoa.test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		list    *List
		header  string
		secure  bool
		allowed bool
	}{
		{new(List), "https://stoa.test", true, true},
		{new(List), "http://stoa.test", true, false},
		{new(List), "ws://stoa.test", true, false},
		{new(List), "http://stoa.test", false, true},
		{new(List), "https://stoa.test", false, true}, // TLS ends at a proxy
		{&listed, "http://stoa.test", true, true},
	} {
		if got := c.list.Allows(c.header, "stoa.test", c.secure); got != c.allowed {
			t.Errorf("%s with TLS %t is allowed: %t, want %t", c.header, c.secure, got, c.allowed)
		}
	}
}

// The port of a Host header counts by the scheme of the page.
func TestAllowsHostWithPort(t *testing.T) {
	for host, want := range map[string]bool{"stoa.test": true, "stoa.test:443": true, "STOA.TEST": true, "stoa.test:80": false, "stoa.test:8443": false, "": false, "[::1]": false} {
		if got := new(List).Allows("https://stoa.test", host, false); got != want {
			t.Errorf("the host %q is that of https://stoa.test: %t, want %t", host, got, want)
		}
	}
	if !new(List).Allows("http://[::1]:8080", "[::1]:8080", false) {
		t.Error("an IPv6 address is not its own host")
	}
}

// A pattern that can never match is refused, with the value.
func TestParseRefuses(t *testing.T) {
	for _, pattern := range []string{
		"", "example.com", "*.example.com", "https:", "https://", "http://", "://a.test", "https//a.test", "1https://a.test",
		"https://a.test/", "https://a.test/chat", "https://a.test?x", "https://a.test#x", "https://ann@a.test", "https://a test",
		"https://a.test:", "https://a.test:0", "https://a.test:65536", "https://a.test:+80", "https://a.test:x", "https://a.test:80:80",
		"https://*", "https://*:443", "https://*.", "https://a.*.test", "https://*a.test", "https://*.*.test", "https://**.a.test", "https://a.*",
		"https://*.0.0.1", "https://*.[::1]", "https://[::1", "https://::1", "https://[1.2.3.4]", "https://[::1%25lo]",
		"https://.a.test", "https://a..test", "https://bücher.example", "*://a.test", "https://a.test,https://b.test", "NULL", "null ",
	} {
		if _, err := Parse([]string{"https://good.test", pattern}); err == nil || !strings.Contains(err.Error(), Expected) {
			t.Errorf("%q: %v, want an error that says what is expected", pattern, err)
		}
	}
}

// An allowed origin is one that was named: the pattern's own scheme and port,
// and its host or one below.
func FuzzAllows(f *testing.F) {
	for _, pattern := range []string{"https://a.test", "https://*.example.com", "http://*.localhost:5173", "null", "file://", "capacitor://localhost", "http://[::1]:80"} {
		for _, origin := range []string{"https://a.test:443", "https://x.example.com", "null", "file://", "http://[::1]", "https://evil.test@a.test"} {
			f.Add(pattern, origin)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, header string) {
		l, err := Parse([]string{pattern})
		if err != nil || pattern == "*" {
			return
		}
		if !strings.Contains(pattern, "*") && !l.Allows(pattern, "", false) {
			t.Errorf("the pattern %q does not match itself", pattern)
		}
		if !l.Allows(header, "", false) || header == "null" && pattern == "null" {
			return
		}
		o, err := url.Parse(header)
		if err != nil {
			t.Fatalf("%q was allowed by %q, and is no URL: %v", header, pattern, err)
		}
		p, err := url.Parse(strings.Replace(pattern, "*.", "", 1))
		if err != nil {
			t.Fatalf("the pattern %q is no URL: %v", pattern, err)
		}
		if o.User != nil || o.Path != "" || o.RawQuery != "" || o.Fragment != "" || !strings.EqualFold(o.Scheme, p.Scheme) {
			t.Errorf("%q was allowed by %q", header, pattern)
		}
		host, want := strings.ToLower(o.Hostname()), strings.ToLower(p.Hostname())
		if strings.Contains(want, ":") {
			return // IPv6 has several forms
		}
		if below := strings.Contains(pattern, "*"); !below && host != want || below && !strings.HasSuffix(host, "."+want) {
			t.Errorf("%q was allowed by %q", header, pattern)
		}
	})
}

// Without a list, an allowed origin has the host of the request, by the opinion
// of another parser, too.
func FuzzAllowsOwnHost(f *testing.F) {
	for _, host := range []string{"stoa.test", "stoa.test:443", "[::1]:8080", "stoa.test.", "evil@stoa.test", "stoa.test/evil", "*", "*.stoa.test"} {
		for _, origin := range []string{"https://stoa.test", "http://stoa.test:443", "http://[::1]:8080", "https://evil@stoa.test", "null", "file://"} {
			f.Add(origin, host)
		}
	}
	f.Fuzz(func(t *testing.T, header, host string) {
		if !new(List).Allows(header, host, false) {
			return
		}
		o, err := url.Parse(header)
		if err != nil {
			t.Fatalf("%q was allowed, and is no URL: %v", header, err)
		}
		own, err := url.Parse(o.Scheme + "://" + host)
		if err != nil {
			t.Fatalf("%q was allowed for the host %q: %v", header, host, err)
		}
		if o.User != nil || own.User != nil || o.Path+o.RawQuery+o.Fragment+own.Path+own.RawQuery+own.Fragment != "" ||
			!strings.Contains(own.Hostname(), ":") && !strings.EqualFold(o.Hostname(), own.Hostname()) {
			t.Errorf("%q was allowed for the host %q", header, host)
		}
		if new(List).Allows(header, host, true) && !strings.EqualFold(o.Scheme, "https") {
			t.Errorf("%q was allowed over TLS", header)
		}
	})
}
