package serve

import (
	"io"
	"net"
	"strings"
	"testing"
)

// The log names the client behind a trusted proxy, and the proxy's own address
// where it is not trusted.
func TestServeBehindAProxy(t *testing.T) {
	const header = "PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n"
	const request = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://evil.example\r\n" +
		"X-Forwarded-For: 6.6.6.6, 203.0.113.5\r\nForwarded: for=203.0.113.6\r\n\r\n"
	for _, c := range []struct {
		args    []string
		request string
		peer    string
	}{
		{nil, request, `127\.0\.0\.1:\d+`},
		{[]string{"--trusted-proxy", "10.0.0.0/8"}, request, `127\.0\.0\.1:\d+`},
		{[]string{"--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "127.0.0.1"}, request, `203\.0\.113\.5:0`},
		{[]string{"--trusted-proxy", "127.0.0.0/8", "--proxy-header", "forwarded"}, request, `203\.0\.113\.6:0`},
		{[]string{"--trusted-proxy", "127.0.0.0/8", "--proxy-protocol"}, header + request, `203\.0\.113\.7:4711`},
		// The proxy names no client, and its client names one.
		{[]string{"--trusted-proxy", "127.0.0.0/8", "--proxy-protocol"}, "PROXY UNKNOWN\r\n" + request, `127\.0\.0\.1:\d+`},
	} {
		p := startProgram(t, append([]string{"--log-level", "debug"}, c.args...)...)
		conn, err := net.Dial("tcp", p.Address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, c.request); err != nil {
			t.Fatal(err)
		}
		p.Stderr.Await(t, `request refused.*forbidden_origin.*peer=(`+c.peer+`) `)
		_ = conn.Close()
	}
}

func TestProxyFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--trusted-proxy", "10.0.0.0/8,11.0.0.0/8"}, "want a network"},
		{[]string{"--trusted-proxy", "0.0.0.0/0"}, "every client could choose its own"},
		{[]string{"--trusted-proxy", "10.0.0.1", "--proxy-header", "x-real-ip"}, "--proxy-header"},
		{[]string{"--proxy-header", "forwarded"}, "add --trusted-proxy"},
		{[]string{"--proxy-protocol"}, "add --trusted-proxy"},
	} {
		p := launch(t, append([]string{"--listen", "127.0.0.1:0"}, c.args...)...)
		if code := p.Wait(t); code != 2 {
			t.Errorf("%s: exit code %d, want 2", strings.Join(c.args, " "), code)
		}
		p.CheckOneLine(t, c.want)
	}
}
