//go:build linux || darwin

package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// reloading is a process with a configuration file and a control socket.
type reloading struct {
	*process
	file, socket string
}

func startReloading(t *testing.T, content string, args ...string) *reloading {
	t.Helper()
	folder := t.TempDir()
	r := &reloading{file: filepath.Join(folder, "stoa.yaml"), socket: filepath.Join(folder, "control.sock")}
	r.write(t, content)
	r.process = startProcess(t, append([]string{"--config", r.file, "--control-socket", r.socket}, args...)...)
	return r
}

// write replaces the file.
func (r *reloading) write(t *testing.T, content string) {
	t.Helper()
	testkit.ReplaceFile(t, r.file, []byte(content))
}

// reload runs the command and expects its exit code. It returns its output.
func (r *reloading) reload(t *testing.T, code int) string {
	t.Helper()
	p := launch(t, "reload", "--control-socket", r.socket)
	if got := p.Wait(t); got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	return p.Stdout.String() + p.Stderr.String()
}

// apply replaces the file and reloads.
func (r *reloading) apply(t *testing.T, content string) {
	t.Helper()
	r.write(t, content)
	if printed := r.reload(t, 0); !strings.HasPrefix(printed, "reloaded: ") {
		t.Fatalf("the command printed:\n%s", printed)
	}
}

// metrics returns the lines that begin with a name.
func (r *reloading) metrics(t *testing.T, name string) string {
	t.Helper()
	response, err := http.Get("http://" + r.address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(regexp.MustCompile(`(?m)^`+name+`.*$`).FindAllString(string(body), -1), "\n")
}

// status returns the answer to an upgrade request.
func (r *reloading) status(t *testing.T, header string) int {
	t.Helper()
	got, err := tryUpgrade(r.address, header)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func tryUpgrade(address, header string) (int, error) {
	conn, err := net.DialTimeout("tcp", address, testkit.Patience)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(testkit.Patience)); err != nil {
		return 0, err
	}
	if header != "" {
		header += "\r\n"
	}
	if _, err := fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", address, header); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	_ = response.Body.Close()
	return response.StatusCode, nil
}

func connectTo(t *testing.T, s *clitest.Socket, namespace string) {
	t.Helper()
	s.Send(t, "$c;"+namespace+";;_OnNamespaceConnect;0;0;")
	s.Expect(t, "$c;;;;;;")
}

// A connection stays open over a reload. It can connect to a namespace that is
// new, and is disconnected from one that is gone; a limit of messages holds for
// it.
func TestReloadNamespacesAndLimits(t *testing.T) {
	r := startReloading(t, "namespaces: {chat: {}, news: {}}\n")
	s := clitest.DialSocket(t, r.address, "/ws")
	connectTo(t, s, "news")
	r.apply(t, "namespaces: {chat: {}, alerts: {}}\nlimits: {message: 100B}\n")
	s.Expect(t, "1;news;;_OnNamespaceDisconnect;0;0;")
	s.Send(t, "1;;;;;;")
	s.Send(t, "$c;news;;_OnNamespaceConnect;0;0;")
	s.Expect(t, "$c;news;;_OnNamespaceConnect;1;0;bad namespace")
	connectTo(t, s, "alerts")
	s.Send(t, ";alerts;;e;0;0;"+strings.Repeat("x", 100))
	if f := s.ReadFrame(t); f.Header.OpCode != ws.OpClose || !strings.HasPrefix(string(f.Payload), "\x03\xf1") {
		t.Errorf("got opcode %d with %q, want a close frame with 1009", f.Header.OpCode, f.Payload)
	}
	r.apply(t, "namespaces: {chat: {}, alerts: {}}\nlimits: {connections: 1}\n")
	s.AnswerClose(t)
	testkit.Eventually(t, "the first client is gone", func() bool { return r.metrics(t, "stoa_connections ") == "stoa_connections 0" })
	held := clitest.DialSocket(t, r.address, "/ws")
	if got := r.status(t, ""); got != http.StatusServiceUnavailable {
		t.Errorf("one connection too many got %d, want 503", got)
	}
	connectTo(t, held, "chat")
	if got := r.metrics(t, "stoa_config_reloads_total"); !strings.Contains(got, `{result="applied"} 2`) {
		t.Errorf("the counter of reloads is\n%s", got)
	}
}

func TestReloadOriginsHostsAndLogLevel(t *testing.T) {
	r := startReloading(t, "log: {level: warn}\n")
	if got := r.status(t, "Origin: https://app.example.com"); got != http.StatusForbidden {
		t.Fatalf("a page of another origin got %d, want 403", got)
	}
	r.apply(t, "log: {level: debug}\norigins: [https://app.example.com]\nhosts: [chat.example.com]\n")
	if got := r.status(t, "Origin: https://app.example.com"); got != http.StatusSwitchingProtocols {
		t.Errorf("a page of an allowed origin got %d, want 101", got)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.address+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "chat.example.com"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("another host got %s, want 200", response.Status)
	}
	r.status(t, "Origin: https://evil.example.com")
	r.Await(t, `level=DEBUG .*evil\.example\.com`)
	if strings.Contains(r.Output.String(), "level=INFO msg=serving") {
		t.Error("the log has more than warnings before the reload")
	}
}

// A bad file changes nothing, is logged with its mistakes, and counted. The
// next good one is in force.
func TestReloadOfABadFile(t *testing.T) {
	r := startReloading(t, "namespaces: {chat: {}}\n")
	if got := r.metrics(t, "stoa_config_last_reload_successful"); !strings.HasSuffix(got, " 1") {
		t.Errorf("at the start: %q, want 1", got)
	}
	s := clitest.DialSocket(t, r.address, "/ws")
	connectTo(t, s, "chat")
	bad := "namespaces: {other: {}}\nlimits:\n  rooms: 0\n  mesage: 1KiB\n"
	r.write(t, bad)
	printed := r.reload(t, cli.ExitUsage)
	for _, want := range []string{
		r.file + ":3: limits.rooms 0: want 1 or more, or off\n", r.file + ":4: limits.mesage: unknown key; did you mean limits.message or limits.messages?\n",
	} {
		if !strings.Contains(printed, want) {
			t.Errorf("the command printed\n%s\nwant %q", printed, want)
		}
	}
	r.Signal(syscall.SIGHUP)
	r.Await(t, `level=ERROR msg="configuration not reloaded.* mistake="\S+stoa.yaml:3: limits.rooms 0`)
	r.Await(t, `mistake="\S+stoa.yaml:4: limits.mesage: unknown key`)
	testkit.Eventually(t, "both reloads are counted", func() bool {
		return strings.Contains(r.metrics(t, "stoa_config_reloads_total"), `{result="failed"} 2`)
	})
	if got := r.metrics(t, "stoa_config_last_reload_successful"); !strings.HasSuffix(got, " 0") {
		t.Errorf("after a bad file: %q, want 0", got)
	}
	s.Send(t, "$q;other;;_OnNamespaceConnect;0;0;")
	s.Expect(t, "$q;other;;_OnNamespaceConnect;1;0;bad namespace")
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	if printed := r.reload(t, cli.ExitUsage); !strings.Contains(printed, "no such file") {
		t.Errorf("without a file the command printed %q", printed)
	}
	r.apply(t, "namespaces: {chat: {}, other: {}}\n")
	connectTo(t, s, "other")
	if got := r.metrics(t, "stoa_config_last_reload_successful"); !strings.HasSuffix(got, " 1") {
		t.Errorf("after a good file: %q, want 1", got)
	}
}

// A key that needs a restart is named by the command and by the log, stays as
// it was, and does not keep the others from being in force.
func TestReloadNamesKeysThatNeedARestart(t *testing.T) {
	r := startReloading(t, "namespaces: {chat: {}}\n")
	r.write(t, "namespaces: {chat: {}, news: {}}\nlisten:\n  endpoint: /other\ncluster: {redis: [redis://u:secret@127.0.0.1]}\n"+
		"auth: {api_keys: {backend: {keys: [sk_0123456789abcdef0123456789abcdef]}}}\n")
	printed := r.reload(t, cli.ExitFailure)
	for _, want := range []string{
		"reloaded: 1 key changed\n  namespaces.news\n",
		r.file + ":3: listen.endpoint needs a restart: the node runs with /ws, not with /other\n",
		"cluster.redis needs a restart: the node runs with none, not with [redis://u:***@127.0.0.1]\n",
		"auth.api_keys.backend needs a restart",
	} {
		if !strings.Contains(printed, want) {
			t.Errorf("the command printed\n%s\nwant %q", printed, want)
		}
	}
	r.Await(t, `level=WARN msg="a key needs a restart.* key=listen.endpoint running=/ws wanted=/other`)
	if log := r.Output.String(); strings.Contains(log, "secret") || strings.Contains(log, "sk_") {
		t.Errorf("the log has a secret:\n%s", log)
	}
	connectTo(t, clitest.DialSocket(t, r.address, "/ws"), "news")
	if got := r.metrics(t, "stoa_config_(reloads_total.result=.partial|keys)"); got != "stoa_config_keys_awaiting_restart 3\n"+`stoa_config_reloads_total{result="partial"} 1` {
		t.Errorf("the metrics are\n%s", got)
	}
	r.apply(t, "namespaces: {chat: {}}\n")
	if got := r.metrics(t, "stoa_config_keys"); got != "stoa_config_keys_awaiting_restart 0" {
		t.Errorf("the metric is %q, want 0", got)
	}
}

// Signals at any time do not end the process, and many are few reloads.
func TestManyHangUps(t *testing.T) {
	r := startReloading(t, "namespaces: {chat: {}}\n", "--drain-timeout", "1m")
	s := clitest.DialSocket(t, r.address, "/ws")
	for range 200 {
		r.Signal(syscall.SIGHUP)
	}
	r.write(t, "namespaces: {chat: {}, last: {}}\n")
	r.Signal(syscall.SIGHUP)
	r.Await(t, `msg="configuration reloaded" changed="?\[namespaces\.last`)
	connectTo(t, s, "last")
	r.Signal(syscall.SIGTERM)
	if f := s.ReadFrame(t); f.Header.OpCode != ws.OpClose {
		t.Fatalf("got opcode %d, want a close frame", f.Header.OpCode)
	}
	r.Signal(syscall.SIGHUP) // while it shuts down
	s.AnswerClose(t)
	if code := r.Wait(t).ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if _, err := os.Lstat(r.socket); !os.IsNotExist(err) {
		t.Errorf("the control socket is still there: %v", err)
	}
}

// The command tells why it cannot reach a node.
func TestReloadWithoutANode(t *testing.T) {
	folder := t.TempDir()
	file, stale := filepath.Join(folder, "stoa.yaml"), filepath.Join(folder, "stale.sock")
	testkit.ReplaceFile(t, file, []byte("listen: {control: "+stale+"}\n"))
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(folder, "bad.yaml")
	testkit.ReplaceFile(t, bad, []byte("limit: {}\n"))
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--control-socket", filepath.Join(folder, "none.sock")}, cli.ExitFailure, "it does not exist"},
		{[]string{"--config", file}, cli.ExitFailure, "no process listens on it"},
		{nil, cli.ExitUsage, "no control socket"},
		{[]string{"--config", bad}, cli.ExitUsage, "bad.yaml:1: limit: unknown key; did you mean limits?"},
	} {
		p := launch(t, append([]string{"reload"}, c.args...)...)
		if code := p.Wait(t); code != c.code {
			t.Errorf("%v: exit code %d, want %d", c.args, code, c.code)
		}
		p.CheckOneLine(t, c.want)
	}
	// A node replaces the stale socket, and only its user can connect to it.
	startProcess(t, "--config", file)
	if info, err := os.Lstat(stale); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v, want the mode 0600", info, err)
	}
	p := launch(t, "reload", "--config", file)
	if code := p.Wait(t); code != 0 || p.Stdout.String() != "reloaded: no key has changed\n" {
		t.Errorf("exit code %d with %q, want 0 and no change", code, p.Stdout.String()+p.Stderr.String())
	}
	other := launch(t, "--listen", "127.0.0.1:0", "--config", file)
	if code := other.Wait(t); code != cli.ExitFailure {
		t.Errorf("a second node with the socket ended with %d, want %d", code, cli.ExitFailure)
	}
	other.CheckOneLine(t, "belongs to a running process")
}

// A renewed certificate is in force after the reload, also under another name.
func TestReloadCertificate(t *testing.T) {
	first, second := clitest.WriteCertificate(t), clitest.WriteCertificate(t)
	content := "tls: {cert: %s, key: %s}\nlisten: {address: '127.0.0.1:0'}\n"
	folder := t.TempDir()
	file, socket := filepath.Join(folder, "stoa.yaml"), filepath.Join(folder, "control.sock")
	testkit.ReplaceFile(t, file, fmt.Appendf(nil, content, first.Cert, first.Key))
	program := startProgram(t, "--config", file, "--control-socket", socket)
	r := &reloading{file: file, socket: socket}
	trusts := func(pair clitest.Certificate) error {
		conn, err := tls.Dial("tcp", program.Address, &tls.Config{RootCAs: pair.Trusted, ServerName: "stoa.test"})
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	if err := trusts(first); err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", program.Address, &tls.Config{RootCAs: first.Trusted, ServerName: "stoa.test"})
	if err != nil {
		t.Fatal(err)
	}
	open := clitest.OpenSocket(t, conn, program.Address, "/ws")
	r.apply(t, fmt.Sprintf(content, second.Cert, second.Key))
	if err := trusts(second); err != nil {
		t.Error(err)
	}
	connectTo(t, open, "default")
	r.write(t, fmt.Sprintf(content, second.Cert, first.Key))
	if printed := r.reload(t, cli.ExitUsage); !strings.Contains(printed, file+":1: tls.cert: unusable with the key") {
		t.Errorf("the command printed %q", printed)
	}
	if err := trusts(second); err != nil {
		t.Error(err)
	}
}
