package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

func TestServe(t *testing.T) {
	p := startProgram(t)
	cases := []struct {
		method, path string
		status       int
		contentType  string
		want         string
	}{
		{http.MethodGet, "/", http.StatusOK, "text/html", `<meta name="stoa-endpoint" content="/ws">`},
		{http.MethodGet, "/healthz", http.StatusOK, "text/plain", "ok\n"},
		{http.MethodGet, "/readyz", http.StatusOK, "text/plain", "ok\n"},
		{http.MethodGet, "/metrics", http.StatusOK, "text/plain", "\nstoa_connections 0\n"},
		{http.MethodGet, "/metrics", http.StatusOK, "text/plain", "\nstoa_build_info{"},
		{http.MethodGet, "/metrics", http.StatusOK, "text/plain", "\ngo_goroutines "},
		{http.MethodHead, "/healthz", http.StatusOK, "text/plain", ""},
		{http.MethodPost, "/healthz", http.StatusMethodNotAllowed, "text/plain", "Method Not Allowed\n"},
		{http.MethodGet, "/nothing", http.StatusNotFound, "text/plain", "404 page not found\n"},
		{http.MethodGet, "/demo/index.html", http.StatusNotFound, "text/plain", "404 page not found\n"},
	}
	for _, c := range cases {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			response, body := p.get(t, c.method, c.path, nil)
			if response.StatusCode != c.status {
				t.Errorf("status %d, want %d", response.StatusCode, c.status)
			}
			if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, c.contentType) {
				t.Errorf("content type %q, want %q", got, c.contentType)
			}
			if !strings.Contains(body, c.want) {
				t.Errorf("want %q in:\n%s", c.want, body)
			}
		})
	}
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if log := p.stderr.String(); strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
		t.Errorf("nothing was wrong, and the log says:\n%s", log)
	}
}

func TestServeCountsConnections(t *testing.T) {
	for _, transport := range transports {
		if transport.name == "epoll" && runtime.GOOS != "linux" {
			continue
		}
		t.Run(transport.name, func(t *testing.T) {
			p := startProgram(t, "--transport", transport.name, "--endpoint", "/chat")
			dialSocket(t, p.address, "/chat")
			_, body := p.get(t, http.MethodGet, "/metrics", nil)
			for _, want := range []string{"stoa_connections 1", `stoa_handshakes_total{result="accepted"} 1`} {
				if !strings.Contains(body, "\n"+want+"\n") {
					t.Errorf("%q is not in the metrics", want)
				}
			}
			if _, page := p.get(t, http.MethodGet, "/", nil); !strings.Contains(page, `content="/chat"`) {
				t.Error("the page does not know the endpoint")
			}
		})
	}
}

func TestServeRefusesOtherOrigins(t *testing.T) {
	p := startProgram(t, "--allow-origin", "https://a.example.com", "--allow-origin", "https://b.example.com")
	cases := map[string]int{
		"https://a.example.com": http.StatusSwitchingProtocols,
		"https://b.example.com": http.StatusSwitchingProtocols,
		"https://c.example.com": http.StatusForbidden,
		p.url:                   http.StatusSwitchingProtocols,
	}
	for origin, want := range cases {
		header := http.Header{
			"Origin":                {origin},
			"Connection":            {"Upgrade"},
			"Upgrade":               {"websocket"},
			"Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key":     {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
		if got := p.upgradeStatus(t, header); got != want {
			t.Errorf("origin %s: status %d, want %d", origin, got, want)
		}
	}
}

// upgradeStatus is like get for an answer whose body would be a WebSocket.
func (p *program) upgradeStatus(t testing.TB, header http.Header) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/ws", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestServeDrains(t *testing.T) {
	p := startProgram(t, "serve", "--drain-timeout", "1m")
	socket := dialSocket(t, p.address, "/ws")
	p.cancel()
	frame := socket.readFrame(t)
	if frame[0] != 0x88 || len(frame) < 4 || binary.BigEndian.Uint16(frame[2:]) != 1001 {
		t.Errorf("got frame %q, want a close frame with code 1001", frame)
	}
	socket.answerClose(t)
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if !strings.Contains(p.stderr.String(), "msg=stopped") {
		t.Errorf("the log does not end with stopped:\n%s", p.stderr)
	}
}

func TestServeCutsAfterDrainTimeout(t *testing.T) {
	p := startProgram(t, "--drain-timeout", "1ms")
	dialSocket(t, p.address, "/ws")
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if !strings.Contains(p.stderr.String(), "were cut") {
		t.Errorf("the log does not say that connections were cut:\n%s", p.stderr)
	}
}

func TestServeStoppedBeforeItBegins(t *testing.T) {
	p := launch(t, "--listen", "127.0.0.1:0")
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d, want 0; log:\n%s", code, p.stderr)
	}
}

func TestServeHasAProcessorForEachLoop(t *testing.T) {
	restoreProcessors(t)
	before := runtime.GOMAXPROCS(0)
	startProgram(t)
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("GOMAXPROCS is %d, want %d as before", got, before)
	}
	startProgram(t, "--loops", "7")
	if got := runtime.GOMAXPROCS(0); got < 7 {
		t.Errorf("GOMAXPROCS is %d, want at least 7", got)
	}
}

func TestServeWarnsWhenExposed(t *testing.T) {
	p := launch(t, "--listen", ":0", "--allow-unauthenticated")
	p.stdout.await(t, `Open +(http://localhost:\d+/) `)
	p.stderr.await(t, `level=(WARN) msg=".*no authentication"`)
}

// With a log for machines neither stream has prose in it.
func TestServeJSON(t *testing.T) {
	p := launch(t, "--listen", "127.0.0.1:0", "--log-format", "json")
	p.stderr.await(t, `"msg":"(serving)"`)
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if printed := p.stdout.String(); printed != "" {
		t.Errorf("standard output should be empty and is:\n%s", printed)
	}
	for lines := bufio.NewScanner(bytes.NewBufferString(p.stderr.String())); lines.Scan(); {
		var record struct{ Msg, Address, Page string }
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			t.Errorf("%s: %v", lines.Text(), err)
		}
		if record.Msg == "serving" && record.Page != "http://"+record.Address+"/" {
			t.Errorf("address %q and page %q do not belong together", record.Address, record.Page)
		}
	}
}

func TestServeLogLevel(t *testing.T) {
	p := startProgram(t, "--log-level", "error")
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if log := p.stderr.String(); log != "" {
		t.Errorf("want nothing below error, got:\n%s", log)
	}
}
