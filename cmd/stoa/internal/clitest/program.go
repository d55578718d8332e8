package clitest

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/internal/testkit"
)

// Main is for TestMain: it runs the tests without the STOA_ variables of the
// environment, and returns the exit code.
func Main(m *testing.M) int {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "STOA_") {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
	// The first use of package os/signal starts a goroutine for good, which is
	// no leak of a test.
	unused := make(chan os.Signal, 1)
	signal.Notify(unused, os.Interrupt)
	signal.Stop(unused)
	return testkit.Run(m, os.Stderr)
}

// Program is a command tree that runs inside the test.
type Program struct {
	Stdout, Stderr *testkit.Output
	URL            string // of the demo page, without the slash; set by Serve
	Address        string // of the port; set by Serve
	cancel         context.CancelFunc
	code           chan int
}

// Serve launches a serving command on a free port and waits for the banner.
func Serve(t testing.TB, root *cobra.Command, args ...string) *Program {
	t.Helper()
	p := Launch(t, root, append([]string{"--listen", "127.0.0.1:0"}, args...)...)
	p.URL = p.Stdout.Await(t, `Open +(https?://\S+)/ `)
	_, p.Address, _ = strings.Cut(p.URL, "://")
	return p
}

// Launch runs a command until it exits, the test calls Stop, or the test ends.
func Launch(t testing.TB, root *cobra.Command, args ...string) *Program {
	t.Helper()
	return LaunchWith(t, root, strings.NewReader(""), args...)
}

// LaunchWith is Launch with standard input.
func LaunchWith(t testing.TB, root *cobra.Command, stdin io.Reader, args ...string) *Program {
	t.Helper()
	RestoreProcessors(t)
	ctx, cancel := context.WithCancel(context.Background())
	p := &Program{Stdout: new(testkit.Output), Stderr: new(testkit.Output), cancel: cancel, code: make(chan int, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.code <- cli.Run(ctx, root, args, stdin, p.Stdout, p.Stderr)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return p
}

// RestoreProcessors restores GOMAXPROCS at the end of the test.
func RestoreProcessors(t testing.TB) {
	before := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// Cancel asks the program to drain.
func (p *Program) Cancel() { p.cancel() }

// Stop asks the program to drain and returns its exit code.
func (p *Program) Stop(t testing.TB) int {
	t.Helper()
	p.cancel()
	return p.Wait(t)
}

// Wait returns the exit code.
func (p *Program) Wait(t testing.TB) int {
	t.Helper()
	select {
	case code := <-p.code:
		return code
	case <-time.After(testkit.Patience):
		t.Fatalf("the program has not exited; its log:\n%s", p.Stderr)
		return 0
	}
}

// CheckOneLine checks that the only output is one line on standard error that
// contains want.
func (p *Program) CheckOneLine(t testing.TB, want string) {
	t.Helper()
	line := p.Stderr.String()
	if !strings.HasPrefix(line, "stoa: ") || strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
		t.Errorf("standard error is not one line that begins with \"stoa: \":\n%s", line)
	}
	if !strings.Contains(line, want) {
		t.Errorf("want %q in: %s", want, line)
	}
	if printed := p.Stdout.String(); printed != "" {
		t.Errorf("standard output should be empty and is: %s", printed)
	}
}

// Get returns the response to a request without a body, and its content.
func (p *Program) Get(t testing.TB, method, path string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	// Connections that are kept alive would delay the drain.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: testkit.Patience}
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
