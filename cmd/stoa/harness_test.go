package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what should happen at once.
const patience = 20 * time.Second

// The test binary is the program itself when this variable is set, so that
// signals can be tried on a real process.
const runMainVariable = "STOA_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMainVariable) != "" {
		main()
	}
	// What the environment of the tests says is not for them.
	for _, name := range []string{redisVariable, tlsCertVariable, tlsKeyVariable, redisCAVariable, clusterNameVariable} {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// output is a stream of the program that a test can wait on.
type output struct {
	mu      sync.Mutex
	content bytes.Buffer  // guarded by mu
	changed chan struct{} // guarded by mu; closed and replaced by every write
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.content.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.content.String()
}

// await returns the first submatch of pattern in the stream, once it is there.
func (o *output) await(t testing.TB, pattern string) string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		o.mu.Lock()
		match, changed := expression.FindStringSubmatch(o.content.String()), o.changed
		o.mu.Unlock()
		if match != nil {
			return match[1]
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%q has not been written; there is:\n%s", pattern, o)
		}
	}
}

// program is a run of the program inside the test.
type program struct {
	stdout, stderr *output
	url            string // of the page, without the slash
	address        string
	cancel         context.CancelFunc
	code           chan int
}

// startProgram starts to serve on a free port and waits for the banner.
func startProgram(t testing.TB, args ...string) *program {
	t.Helper()
	p := launch(t, append([]string{"--listen", "127.0.0.1:0"}, args...)...)
	p.url = p.stdout.await(t, `Open +(https?://\S+)/ `)
	p.address = strings.TrimPrefix(p.url, "http://")
	return p
}

// launch runs the program until the test ends or stop is called.
func launch(t testing.TB, args ...string) *program {
	t.Helper()
	return launchWith(t, strings.NewReader(""), args...)
}

// launchWith is launch with something on standard input.
func launchWith(t testing.TB, stdin io.Reader, args ...string) *program {
	t.Helper()
	restoreProcessors(t)
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{stdout: newOutput(), stderr: newOutput(), cancel: cancel, code: make(chan int, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.code <- run(ctx, args, stdin, p.stdout, p.stderr)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return p
}

// restoreProcessors undoes, after the test, what the program does to the process.
func restoreProcessors(t testing.TB) {
	before := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// stop asks the program to drain and returns its exit code.
func (p *program) stop(t testing.TB) int {
	t.Helper()
	p.cancel()
	return p.wait(t)
}

func (p *program) wait(t testing.TB) int {
	t.Helper()
	select {
	case code := <-p.code:
		return code
	case <-time.After(patience):
		t.Fatalf("the program has not ended; its log:\n%s", p.stderr)
		return 0
	}
}

// get returns the answer to a request without a body, and its content.
func (p *program) get(t testing.TB, method, path string, header http.Header) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	// Kept connections would make the drain wait for their client.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// socket is the client's end of a WebSocket. It answers nothing by itself, not
// even a close frame.
type socket struct {
	conn   net.Conn
	reader *bufio.Reader
}

// dialSocket opens a WebSocket at address and is acknowledged.
func dialSocket(t testing.TB, address, path string) *socket {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	request := "GET " + path + " HTTP/1.1\r\nHost: " + address + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	// A text frame "M" under a mask of zeros is the hello.
	if _, err := io.WriteString(conn, request+"\x81\x81\x00\x00\x00\x00M"); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %s, want 101", response.Status)
	}
	s := &socket{conn, reader}
	frame := s.readFrame(t)
	if frame[0] != 0x81 || frame[2] != 'A' {
		t.Fatalf("first frame %q, want the acknowledgement", frame)
	}
	return s
}

// readFrame reads a short frame, head included.
func (s *socket) readFrame(t testing.TB) []byte {
	t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(s.reader, head); err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, head[1])
	if _, err := io.ReadFull(s.reader, payload); err != nil {
		t.Fatal(err)
	}
	return append(head, payload...)
}

// send sends a short text.
func (s *socket) send(t testing.TB, text string) {
	t.Helper()
	if len(text) > 125 {
		t.Fatalf("a text of %d bytes is too long for this", len(text))
	}
	// Under a mask of zeros.
	head := []byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}
	if _, err := s.conn.Write(append(head, text...)); err != nil {
		t.Fatal(err)
	}
}

// expect reads a text.
func (s *socket) expect(t testing.TB, want string) {
	t.Helper()
	if frame := s.readFrame(t); frame[0] != 0x81 || string(frame[2:]) != want {
		t.Fatalf("got frame %q, want the text %q", frame, want)
	}
}

// answerClose sends an empty close frame.
func (s *socket) answerClose(t testing.TB) {
	t.Helper()
	if _, err := io.WriteString(s.conn, "\x88\x80\x00\x00\x00\x00"); err != nil {
		t.Fatal(err)
	}
}
