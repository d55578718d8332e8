package serve

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
)

// request returns the status and the body of a GET with this Host header.
func request(t testing.TB, url, host string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// launchInternal starts a node with an internal port and returns the addresses
// of both, as URLs.
func launchInternal(t *testing.T, args ...string) (p *clitest.Program, public, internal string) {
	t.Helper()
	p = launch(t, append([]string{"--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0"}, args...)...)
	public = p.Stdout.Await(t, `Clients +ws(://\S+)/ws`)
	internal = p.Stdout.Await(t, `Internal +(http://\S+)/metrics`)
	return p, "http" + public, internal
}

// The pages for operators are on the internal port alone, health is on both.
func TestInternalListen(t *testing.T) {
	p, public, internal := launchInternal(t, "--pprof")
	_, demo, _ := launchInternal(t, "--demo")
	for _, c := range []struct {
		url  string
		want int
	}{
		{public + "/", http.StatusNotFound},
		{public + "/app.js", http.StatusNotFound},
		{public + "/stoa.js", http.StatusOK},
		{public + "/healthz", http.StatusOK},
		{public + "/readyz", http.StatusOK},
		{public + "/metrics", http.StatusNotFound},
		{public + "/debug/pprof/", http.StatusNotFound},
		{public + "/debug/pprof/heap", http.StatusNotFound},
		{internal + "/", http.StatusNotFound},
		{internal + "/ws", http.StatusNotFound},
		{internal + "/healthz", http.StatusOK},
		{internal + "/readyz", http.StatusOK},
		{internal + "/metrics", http.StatusOK},
		{internal + "/debug/pprof/", http.StatusOK},
		{internal + "/debug/pprof/heap", http.StatusOK},
		{demo + "/", http.StatusOK},
		{demo + "/metrics", http.StatusNotFound},
	} {
		if status, body := request(t, c.url, "localhost"); status != c.want {
			t.Errorf("%s: status %d, want %d: %s", c.url, status, c.want, body)
		}
	}
	// A web page whose name leads to the internal address reads nothing.
	for path, want := range map[string]int{
		"/metrics": http.StatusMisdirectedRequest, "/debug/pprof/heap": http.StatusMisdirectedRequest, "/healthz": http.StatusOK,
	} {
		if status, _ := request(t, internal+path, "evil.example"); status != want {
			t.Errorf("%s of another host: status %d, want %d", path, status, want)
		}
	}
	if code := p.Stop(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// While the node drains, operators still reach its pages.
func TestInternalPortOutlivesTheDrain(t *testing.T) {
	p, public, internal := launchInternal(t)
	_, address, _ := strings.Cut(public, "://")
	socket := clitest.DialSocket(t, address, "/ws")
	p.Cancel()
	socket.ReadFrame(t) // the close frame, which is not answered yet
	if status, body := request(t, internal+"/readyz", "localhost"); status != http.StatusServiceUnavailable || !strings.Contains(body, "drain") {
		t.Errorf("/readyz: %d %q, want 503 and the reason", status, body)
	}
	if _, body := request(t, internal+"/metrics", "localhost"); !strings.Contains(body, "\nstoa_draining 1\n") {
		t.Error("the metrics do not show the drain")
	}
	socket.AnswerClose(t)
	if code := p.Wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// Other machines get metrics and profiles only where an operator has said so.
func TestOperatorsPagesWhereOthersReachThem(t *testing.T) {
	p := launch(t, "--listen", ":0", "--allow-unauthenticated")
	p.Stdout.Await(t, `Open +(http://localhost:\d+)/ `)
	p.Stderr.Await(t, `level=(INFO) msg="other machines can reach this address, so it serves no metrics: --internal-listen`)
	p = launch(t, "--listen", "127.0.0.1:0", "--internal-listen", ":0")
	p.Stderr.Await(t, `level=(WARN) msg="every machine that reaches the internal address can read metrics`)
}

func TestInternalFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--internal-listen", "9090"}, "--internal-listen"},
		{[]string{"--internal-listen", "127.0.0.1:nothing"}, "unknown port"},
		{[]string{"--listen", ":0", "--allow-unauthenticated", "--pprof"}, "add --internal-listen"},
		{[]string{"--listen", "127.0.0.1:0", "--endpoint", "/stoa.js"}, "path of a page"},
	} {
		p := launch(t, c.args...)
		if code := p.Wait(t); code != 2 {
			t.Errorf("%q: exit code %d, want 2", c.args, code)
		}
		p.CheckOneLine(t, c.want)
	}
	taken := startProgram(t)
	p := launch(t, "--listen", "127.0.0.1:0", "--internal-listen", taken.Address)
	if code := p.Wait(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	p.CheckOneLine(t, "choose another address with --internal-listen")
}
