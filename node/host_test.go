package node_test

import (
	"net/http"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// Both parsers check the host, also of requests that net/http serves.
func TestForbiddenHost(t *testing.T) {
	allow := func(c *node.Config) {
		withEcho(c)
		c.AllowHosts = []string{"a.test"}
	}
	n := startNode(t, allow)
	m := startMounted(t, newNode(t, allow), nil, nil)
	for _, c := range []struct {
		host   string
		status int
	}{
		{"stoa.test", http.StatusMisdirectedRequest},
		{"b.a.test", http.StatusMisdirectedRequest},
		{"A.test:8080", http.StatusSwitchingProtocols},
		{"localhost", http.StatusSwitchingProtocols},
		{"127.0.0.1:80", http.StatusSwitchingProtocols},
	} {
		request := withLine("/ws", "Host", "Host: "+c.host)
		later := connectTCP(t, n)
		later.write("GET /page HTTP/1.1\r\nHost: a.test\r\n\r\n")
		later.expectBody("GET /page ")
		for way, p := range map[string]*peer{"new connection": connectTCP(t, n), "after a request": later, "mounted": m.connect(t)} {
			p.write(request)
			if response := p.response(); response.StatusCode != c.status {
				t.Errorf("%s, %s: answered %s, want %d", c.host, way, response.Status, c.status)
			}
		}
		page := connectTCP(t, n)
		page.write("GET /page HTTP/1.1\r\nHost: " + c.host + "\r\n\r\n")
		if response := page.response(); (response.StatusCode == http.StatusOK) != (c.status == http.StatusSwitchingProtocols) {
			t.Errorf("the page of %s: answered %s", c.host, response.Status)
		}
	}
	expectHandshakes(t, n, node.HandshakeForbiddenHost, 4)
	expectHandshakes(t, m.Node, node.HandshakeForbiddenHost, 2)
	old := connectTCP(t, n)
	old.write("GET /page HTTP/1.0\r\n\r\n") // a probe of a load balancer
	old.expectBody("GET /page ")
}
