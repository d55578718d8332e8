package ops_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/ops"
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m, os.Stderr)) }

// startNode returns a node that serves.
func startNode(t *testing.T, change func(*node.Config)) *node.Node {
	t.Helper()
	config := node.Config{Loops: 1}
	if change != nil {
		change(&config)
	}
	n, err := node.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	return n
}

func get(t *testing.T, h http.Handler, method, path, host string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, http.NoBody)
	r.Host = host
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandler(t *testing.T) {
	n := startNode(t, nil)
	all := ops.Handler(n, ops.Options{Profiles: true})
	plain := ops.Handler(n, ops.Options{})
	public := ops.Handler(n, ops.Options{Public: true, Profiles: true})
	bound := ops.Handler(n, ops.Options{AllowHosts: []string{"stoa.test"}, Profiles: true})
	const ok, missing, misdirected = http.StatusOK, http.StatusNotFound, http.StatusMisdirectedRequest
	for path, want := range map[string][5]int{ // all, plain, public, bound, bound for another host
		"/healthz":             {ok, ok, ok, ok, ok},
		"/readyz":              {ok, ok, ok, ok, ok},
		"/stoa.js":             {ok, ok, ok, ok, misdirected},
		"/metrics":             {ok, ok, missing, ok, misdirected},
		"/debug/pprof/":        {ok, missing, missing, ok, misdirected},
		"/debug/pprof/heap":    {ok, missing, missing, ok, misdirected},
		"/debug/pprof/cmdline": {missing, missing, missing, missing, misdirected}, // it may have passwords
		"/debug/pprof/nothing": {missing, missing, missing, missing, misdirected},
		"/":                    {missing, missing, missing, missing, missing},
	} {
		got := [5]int{
			get(t, all, http.MethodGet, path, "evil.test").Code,
			get(t, plain, http.MethodGet, path, "evil.test").Code,
			get(t, public, http.MethodGet, path, "evil.test").Code,
			get(t, bound, http.MethodGet, path, "stoa.test:80").Code,
			get(t, bound, http.MethodGet, path, "evil.test").Code,
		}
		if got != want {
			t.Errorf("%s: statuses %v, want %v", path, got, want)
		}
	}
	for host, want := range map[string]int{
		"192.0.2.1:9090": ok, "[2001:db8::1]:9090": ok, "192.0.2.1": ok, "192.0.2.1.evil.test": misdirected, "192.0.2": misdirected,
	} {
		if got := get(t, bound, http.MethodGet, "/metrics", host).Code; got != want {
			t.Errorf("/metrics of %s: status %d, want %d", host, got, want)
		}
	}
	if got := get(t, bound, http.MethodGet, "/healthz/../metrics", "evil.test").Code; got == ok {
		t.Error("a path that begins like that of health is served for every host")
	}
	if got := get(t, all, http.MethodPost, "/metrics", "").Code; got != http.StatusMethodNotAllowed {
		t.Errorf("POST /metrics: status %d, want 405", got)
	}
	if got := get(t, all, http.MethodGet, "/stoa.js", "").Header().Get("Access-Control-Allow-Origin"); got != "*" {
		t.Errorf("/stoa.js: Access-Control-Allow-Origin %q, want *", got)
	}
	if got := get(t, all, http.MethodGet, "/metrics", "").Body.String(); !strings.Contains(got, "\nstoa_connections 0\n") || !strings.Contains(got, "\ngo_goroutines ") {
		t.Errorf("/metrics has no figures of the node and the process: %.200s", got)
	}
}

func TestHandlerRefusesHosts(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a host that can never match was accepted")
		}
	}()
	ops.Handler(startNode(t, nil), ops.Options{AllowHosts: []string{"http://stoa.test"}})
}

// Health is served for every host by the node's own listener, too, while its
// Config.AllowHosts holds for the other pages.
func TestMountOnANode(t *testing.T) {
	mux := http.NewServeMux()
	n, err := node.New(node.Config{Loops: 1, HTTP: mux, AllowHosts: []string{"stoa.test"}})
	if err != nil {
		t.Fatal(err)
	}
	ops.Mount(mux, n, ops.Options{Public: true})
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	t.Cleanup(func() {
		_ = n.Close()
		<-served
	})
	for path, want := range map[string][2]int{
		"/healthz": {http.StatusOK, http.StatusOK},
		"/readyz":  {http.StatusOK, http.StatusOK},
		"/stoa.js": {http.StatusOK, http.StatusMisdirectedRequest},
		"/metrics": {http.StatusNotFound, http.StatusMisdirectedRequest},
	} {
		for i, host := range []string{"stoa.test", "evil.test"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.Addr().String()+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = host
			response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != want[i] {
				t.Errorf("%s of %s: status %d, want %d", path, host, response.StatusCode, want[i])
			}
		}
	}
}

func TestReady(t *testing.T) {
	n := startNode(t, nil)
	warnings := func() []string { return []string{"a", "b"} }
	all := ops.Handler(n, ops.Options{Warnings: warnings})
	public := ops.Handler(n, ops.Options{Warnings: warnings, Public: true})
	check := func(h http.Handler, status int, body string) {
		t.Helper()
		w := get(t, h, http.MethodGet, "/readyz", "")
		if w.Code != status || w.Body.String() != body {
			t.Errorf("/readyz: %d %q, want %d %q", w.Code, w.Body, status, body)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control %q, want no-store", got)
		}
	}
	check(all, http.StatusOK, "ok\nwarning: a\nwarning: b\n")
	check(public, http.StatusOK, "ok\n")
	_ = n.Close()
	check(all, http.StatusServiceUnavailable, node.ErrDraining.Error()+"\n")
	check(public, http.StatusServiceUnavailable, "not ready\n")
	// A draining node is alive, so that it is not restarted.
	if got := get(t, public, http.MethodGet, "/healthz", "").Code; got != http.StatusOK {
		t.Errorf("/healthz: status %d, want 200", got)
	}
}

func TestProfiles(t *testing.T) {
	h := ops.Handler(startNode(t, nil), ops.Options{Profiles: true})
	if w := get(t, h, http.MethodGet, "/debug/pprof/goroutine?debug=1", ""); !strings.HasPrefix(w.Body.String(), "goroutine profile:") {
		t.Errorf("the goroutines as text: %.100q", w.Body)
	}
	const gzip = "\x1f\x8b"
	if w := get(t, h, http.MethodGet, "/debug/pprof/heap", ""); !strings.HasPrefix(w.Body.String(), gzip) {
		t.Errorf("the heap is not a compressed profile: %.100q", w.Body)
	}
	for _, seconds := range []string{"0", "-1", "61", "x", "1e9"} {
		if w := get(t, h, http.MethodGet, "/debug/pprof/profile?seconds="+seconds, ""); w.Code != http.StatusBadRequest {
			t.Errorf("%s seconds: status %d, want 400", seconds, w.Code)
		}
	}
	// A client that has gone ends the recording.
	record := func() *httptest.ResponseRecorder {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/pprof/profile?seconds=60", http.NoBody).WithContext(ctx))
		return w
	}
	if w := record(); w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), gzip) {
		t.Errorf("the profile: %d %.100q", w.Code, w.Body)
	}
	if err := pprof.StartCPUProfile(new(strings.Builder)); err != nil {
		t.Fatal(err)
	}
	defer pprof.StopCPUProfile()
	if w := record(); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a second profile at a time: status %d, want 503", w.Code)
	}
}
