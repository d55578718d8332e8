package engine_test

import (
	"bufio"
	"bytes"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/engine"
)

// requestHeads are heads of requests; true: read without net/http.
var requestHeads = map[string]bool{
	head("/ws"):                                   true,
	head("/ws?token=a%20b&x=1#y"):                 true,
	head("//a/b?c"):                               true,
	head("/%zz"):                                  false,
	head("http://other.test/ws"):                  false,
	head("*"):                                     false,
	head("/ws", "Content-Length: 0"):              false,
	head("/ws", "trailer: x"):                     false,
	head("/ws", "Connection: keep-alive,\tClose"): false,
	head("/ws", "Connection: close"):              false,
	head("/ws", "Pragma: no-cache"):               true,
	head("/ws", "pragma: no-cache", "cache-control: max-age=0"):                         true,
	head("/ws", "Cookie: a=1", "COOKIE: b=2", "x-y_z:  \xfc\t ", "E:", "1: 2", "-a: b"): true,
	strings.ReplaceAll(head("/ws"), "\r\n", "\n"):                                       true,
	strings.Replace(head("/ws"), "HTTP/1.1", "HTTP/1.2", 1):                             false,
}

func head(target string, lines ...string) string {
	all := append([]string{"GET " + target + " HTTP/1.1", "Host: stoa.test:8080", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, lines...)
	return strings.Join(all, "\r\n") + "\r\n\r\n"
}

func TestQuickRequest(t *testing.T) {
	for text, quick := range requestHeads {
		if got := engine.QuickRequest([]byte(text)); (got != nil) != quick {
			t.Errorf("read without net/http: %t, want %t:\n%s", got != nil, quick, text)
		}
	}
}

// FuzzQuickRequest compares the requests with those of net/http.
func FuzzQuickRequest(f *testing.F) {
	for text := range requestHeads {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		end := bytes.Index(text, []byte("\n\r\n")) + 3
		if end < 3 {
			return
		}
		got := engine.QuickRequest(bytes.Clone(text[:end]))
		if got == nil {
			return
		}
		want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text[:end])))
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", text, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n%+v\n%+v", text, got, want)
		}
	})
}
