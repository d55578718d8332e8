package serve

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
)

func TestMain(m *testing.M) { os.Exit(clitest.Main(m)) }

func startProgram(t testing.TB, args ...string) *clitest.Program {
	t.Helper()
	return clitest.Serve(t, NewCommand(), args...)
}

func launch(t testing.TB, args ...string) *clitest.Program {
	t.Helper()
	return clitest.Launch(t, NewCommand(), args...)
}

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
			response, body := p.Get(t, c.method, c.path)
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
	if code := p.Stop(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if log := p.Stderr.String(); strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
		t.Errorf("unexpected warnings in the log:\n%s", log)
	}
}

func TestServeCountsConnections(t *testing.T) {
	for _, transport := range []string{"auto", "epoll", "stream", "blocking"} {
		if transport == "epoll" && runtime.GOOS != "linux" {
			continue
		}
		t.Run(transport, func(t *testing.T) {
			p := startProgram(t, "--transport", transport, "--endpoint", "/chat")
			clitest.DialSocket(t, p.Address, "/chat")
			_, body := p.Get(t, http.MethodGet, "/metrics")
			for _, want := range []string{"stoa_connections 1", `stoa_handshakes_total{result="accepted"} 1`} {
				if !strings.Contains(body, "\n"+want+"\n") {
					t.Errorf("%q is not in the metrics", want)
				}
			}
			if _, page := p.Get(t, http.MethodGet, "/"); !strings.Contains(page, `content="/chat"`) {
				t.Error("the endpoint is not in the page")
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
		p.URL:                   http.StatusSwitchingProtocols,
	}
	for origin, want := range cases {
		header := http.Header{
			"Origin": {origin},
		}
		if got := upgradeStatus(t, p, header); got != want {
			t.Errorf("origin %s: status %d, want %d", origin, got, want)
		}
	}
}

// The client of a page that offers subprotocols needs one that is selected.
func TestServeSelectsASubprotocol(t *testing.T) {
	p := startProgram(t, "--subprotocol", "chat.v2", "--subprotocol", "chat.v1")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/ws", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{
		"Connection":             {"Upgrade"},
		"Upgrade":                {"websocket"},
		"Sec-Websocket-Version":  {"13"},
		"Sec-Websocket-Key":      {"dGhlIHNhbXBsZSBub25jZQ=="},
		"Sec-Websocket-Protocol": {"chat.v1, chat.v2"},
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if got := response.Header.Get("Sec-Websocket-Protocol"); response.StatusCode != http.StatusSwitchingProtocols || got != "chat.v2" {
		t.Errorf("answered %s with the subprotocol %q, want chat.v2", response.Status, got)
	}
}

// A web page that gives its own name a loopback address reaches nothing.
func TestServeRefusesOtherHosts(t *testing.T) {
	status := func(p *clitest.Program, path, host string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		if path == "/ws" {
			request.Header = http.Header{
				"Origin":                {"http://" + host},
				"Connection":            {"Upgrade"},
				"Upgrade":               {"websocket"},
				"Sec-Websocket-Version": {"13"},
				"Sec-Websocket-Key":     {"dGhlIHNhbXBsZSBub25jZQ=="},
			}
		}
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	strict, configured := startProgram(t), startProgram(t, "--allow-host", "chat.example.com")
	exposed := launch(t, "--listen", ":0", "--allow-unauthenticated")
	exposed.URL = exposed.Stdout.Await(t, `Open +(http://localhost:\d+)/ `)
	for _, path := range []string{"/", "/metrics", "/stoa.js", "/healthz", "/readyz", "/nothing", "/ws"} {
		served, refused := http.StatusOK, http.StatusMisdirectedRequest
		switch path {
		case "/nothing":
			served = http.StatusNotFound
		case "/ws":
			served = http.StatusSwitchingProtocols
		case "/healthz", "/readyz":
			refused = http.StatusOK // load balancers name any host, and a page gains nothing
		}
		for _, c := range []struct {
			p    *clitest.Program
			host string
			want int
		}{
			{strict, "evil.example", refused},
			{strict, "evil.example:8080", refused},
			{strict, "localhost.evil.example", refused},
			{strict, "127.0.0.1.evil.example", refused},
			{strict, "192.0.2.1", refused},
			{strict, "localhost", served},
			{strict, "LOCALHOST:8080", served},
			{strict, "stoa.localhost.", served},
			{strict, "127.0.0.2:1", served},
			{strict, "[::1]:8080", served},
			{strict, "[::1]", served},
			{configured, "Chat.example.com:443", served},
			{configured, "localhost", served},
			{configured, "evil.example", refused},
			{exposed, "evil.example", exposedServes(path, served)},
		} {
			if got := status(c.p, path, c.host); got != c.want {
				t.Errorf("%s of %s: status %d, want %d", path, c.host, got, c.want)
			}
		}
	}
	if log := strict.Stderr.String(); strings.Count(log, "host=evil.example ") != 1 || !strings.Contains(log, "--allow-host") {
		t.Errorf("want one line about the host and the flag, got:\n%s", log)
	}
}

// exposedServes returns the status of a path where other machines can reach the
// port: there are no metrics.
func exposedServes(path string, otherwise int) int {
	if path == "/metrics" {
		return http.StatusNotFound
	}
	return otherwise
}

// A page with large cookies can connect if the operator wants it.
func TestServeMaxHeader(t *testing.T) {
	for _, c := range []struct {
		args []string
		want int
	}{
		{nil, http.StatusRequestHeaderFieldsTooLarge},
		{[]string{"--max-header", "20000"}, http.StatusSwitchingProtocols},
	} {
		p := startProgram(t, c.args...)
		header := http.Header{
			"Cookie": {strings.Repeat("c", 8100)},
		}
		if got := upgradeStatus(t, p, header); got != c.want {
			t.Errorf("%q: status %d, want %d", c.args, got, c.want)
		}
	}
}

// upgradeStatus returns the status of the response to an upgrade request with
// more fields.
func upgradeStatus(t testing.TB, p *clitest.Program, header http.Header) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/ws", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		request.Header.Set(name, value)
	}
	maps.Copy(request.Header, header)
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestServeDrains(t *testing.T) {
	p := startProgram(t, "--drain-timeout", "1m")
	socket := clitest.DialSocket(t, p.Address, "/ws")
	p.Cancel()
	frame := socket.ReadFrame(t)
	if code, _ := ws.ParseCloseFrameData(frame.Payload); frame.Header.OpCode != ws.OpClose || code != 1001 {
		t.Errorf("got opcode %d with %q, want a close frame with code 1001", frame.Header.OpCode, frame.Payload)
	}
	socket.AnswerClose(t)
	if code := p.Wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if !strings.Contains(p.Stderr.String(), "msg=stopped") {
		t.Errorf("the log does not end with stopped:\n%s", p.Stderr)
	}
}

func TestServeCutsAfterDrainTimeout(t *testing.T) {
	p := startProgram(t, "--drain-timeout", "1ms")
	clitest.DialSocket(t, p.Address, "/ws")
	if code := p.Stop(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if !strings.Contains(p.Stderr.String(), "were cut") {
		t.Errorf("the log does not say that connections were cut:\n%s", p.Stderr)
	}
}

func TestServeStoppedBeforeItStarts(t *testing.T) {
	p := launch(t, "--listen", "127.0.0.1:0")
	if code := p.Stop(t); code != 0 {
		t.Errorf("exit code %d, want 0; log:\n%s", code, p.Stderr)
	}
}

func TestServeRaisesProcessors(t *testing.T) {
	clitest.RestoreProcessors(t)
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
	p.Stdout.Await(t, `Open +(http://localhost:\d+/) `)
	p.Stderr.Await(t, `level=(WARN) msg="no authentication`)
}

// With a JSON log neither stream contains prose.
func TestServeJSON(t *testing.T) {
	p := launch(t, "--listen", "127.0.0.1:0", "--log-format", "json")
	p.Stderr.Await(t, `"msg":"(serving)"`)
	if code := p.Stop(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if printed := p.Stdout.String(); printed != "" {
		t.Errorf("standard output should be empty and is:\n%s", printed)
	}
	for lines := bufio.NewScanner(bytes.NewBufferString(p.Stderr.String())); lines.Scan(); {
		var record struct{ Msg, Address, Page string }
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			t.Errorf("%s: %v", lines.Text(), err)
		}
		if record.Msg == "serving" && record.Page != "http://"+record.Address+"/" {
			t.Errorf("address %q and page %q do not match", record.Address, record.Page)
		}
	}
}

func TestServeLogLevel(t *testing.T) {
	p := startProgram(t, "--log-level", "error")
	if code := p.Stop(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if log := p.Stderr.String(); log != "" {
		t.Errorf("want nothing below error, got:\n%s", log)
	}
}

func TestExplainListen(t *testing.T) {
	cases := []struct {
		name string
		err  error
		want string
	}{
		{"port in use", syscall.EADDRINUSE, "choose another address with --listen"},
		{"no permission", syscall.EACCES, "choose a port above 1023"},
		{"another reason", syscall.EINVAL, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", c.err)}
			got := explainListen(err, "listen")
			if !errors.Is(got, c.err) || !strings.HasPrefix(got.Error(), err.Error()) || !strings.Contains(got.Error(), c.want) {
				t.Errorf("got %q, want %q and then %q", got, err, c.want)
			}
		})
	}
}

func TestMetricsBuild(t *testing.T) {
	b := metricsBuild(cli.Build{Version: "1.2.3", Revision: "0123456789abcdef", Modified: true})
	if b.Version != "1.2.3" || b.Revision != "0123456789abcdef-modified" {
		t.Errorf("got %+v, want version 1.2.3 and a modified revision", b)
	}
}
