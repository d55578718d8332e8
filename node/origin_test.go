package node_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// Origins are checked in the same way on a new connection and on one that
// net/http has served before.
func TestOrigin(t *testing.T) {
	for _, c := range []struct {
		name    string
		allow   []string
		lines   []string
		allowed bool
	}{
		{"none", nil, nil, true},
		{"own host", nil, []string{"Origin: https://stoa.test"}, true},
		{"own host in capitals", nil, []string{"origin: http://STOA.test"}, true},
		{"another host", nil, []string{"Origin: https://evil.test"}, false},
		{"another port", nil, []string{"Origin: https://stoa.test:8080"}, false},
		{"own host as a part", nil, []string{"Origin: https://stoa.test.evil.test"}, false},
		{"own host as a user", nil, []string{"Origin: https://stoa.test@evil.test"}, false},
		{"null", nil, []string{"Origin: null"}, false},
		{"empty", nil, []string{"Origin:"}, false},
		{"no origin at all", nil, []string{"Origin: ::::"}, false},
		{"listed", []string{"https://a.test", "https://b.test:8443"}, []string{"Origin: https://b.test:8443"}, true},
		{"listed in capitals", []string{"https://a.test"}, []string{"Origin: https://A.test"}, true},
		{"listed with another scheme", []string{"https://a.test"}, []string{"Origin: http://a.test"}, false},
		{"listed with the default port", []string{"https://a.test:443"}, []string{"Origin: https://a.test"}, true},
		{"own host with the default port", nil, []string{"Origin: http://stoa.test:80"}, true},
		{"subdomain", []string{"https://*.a.test"}, []string{"Origin: https://x.y.a.test"}, true},
		{"domain of a pattern for subdomains", []string{"https://*.a.test"}, []string{"Origin: https://a.test"}, false},
		{"null by name", []string{"null"}, []string{"Origin: null"}, true},
		{"scheme of an app", []string{"capacitor://localhost"}, []string{"Origin: capacitor://localhost"}, true},
		{"scheme without hosts", []string{"file://"}, []string{"Origin: file://"}, true},
		{"not listed", []string{"https://a.test"}, []string{"Origin: https://b.test"}, false},
		{"own host in addition to a list", []string{"https://a.test"}, []string{"Origin: http://stoa.test"}, true},
		{"all origins", []string{"*"}, []string{"Origin: https://evil.test"}, true},
		{"all origins, null", []string{"*"}, []string{"Origin: null"}, true},
		{"two origins", nil, []string{"Origin: https://stoa.test", "Origin: https://stoa.test"}, false},
		{"two origins, the first one another", nil, []string{"Origin: https://evil.test", "Origin: https://stoa.test"}, false},
		{"two origins where all may", []string{"*"}, []string{"Origin: https://a.test", "Origin: https://b.test"}, false},
	} {
		for _, way := range []string{"new connection", "after a request"} {
			t.Run(c.name+"/"+way, func(t *testing.T) {
				n := startNode(t, func(cfg *node.Config) { cfg.AllowOrigins = c.allow })
				p := connectTCP(t, n)
				if way == "after a request" {
					p.write("GET / HTTP/1.1\r\nHost: stoa.test\r\n\r\n")
					p.response()
				}
				p.write(upgradeRequest("/ws", c.lines...))
				if c.allowed {
					if response := p.response(); response.StatusCode != http.StatusSwitchingProtocols {
						t.Errorf("answered %s, want 101", response.Status)
					}
					expectHandshakes(t, n, node.HandshakeAccepted, 1)
					return
				}
				p.expectRefusal(http.StatusForbidden)
				expectHandshakes(t, n, node.HandshakeForbiddenOrigin, 1)
			})
		}
	}
}

// Over TLS, a page that was loaded without it is none of the node's own, on
// every way to a WebSocket.
func TestOriginOverTLS(t *testing.T) {
	for origin, status := range map[string]int{
		"https://stoa.test": http.StatusSwitchingProtocols, "http://stoa.test": http.StatusForbidden, "http://listed.test": http.StatusSwitchingProtocols,
	} {
		t.Run(origin, func(t *testing.T) {
			eachFront(t, func(c *node.Config) {
				withEcho(c)
				c.AllowOrigins = []string{"http://listed.test"}
			}, func(*node.Node) {}, func(t *testing.T, f *front) {
				want := status
				if !strings.HasSuffix(t.Name(), "with_TLS") {
					want = http.StatusSwitchingProtocols // TLS may end at a proxy
				}
				for _, later := range []bool{false, true} {
					p := f.connect(t)
					if later {
						p.write(plainGet)
						p.response()
					}
					p.write(upgradeRequest("/ws", "Origin: "+origin))
					if response := p.response(); response.StatusCode != want {
						t.Errorf("after a request %t: answered %s, want %d", later, response.Status, want)
					}
				}
			})
		})
	}
}
