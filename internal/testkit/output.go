package testkit

import (
	"bytes"
	"regexp"
	"sync"
	"testing"
	"time"
)

// Output collects the output of a program. Its zero value is empty; it is safe
// for concurrent use.
type Output struct {
	mu      sync.Mutex
	text    bytes.Buffer  // guarded by mu
	changed chan struct{} // guarded by mu; closed by the next Write; nil without a waiter
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.text.Write(p)
}

// String returns the output so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Await waits until the pattern matches and returns its last submatch, which is
// the whole match in a pattern without groups.
func (o *Output) Await(t testing.TB, pattern string) string {
	t.Helper()
	return o.await(t, pattern, nil)
}

// await is Await that fails when exited is closed without a match.
func (o *Output) await(t testing.TB, pattern string, exited <-chan struct{}) string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	late := time.After(Patience)
	for last := false; ; {
		match, changed := o.find(expression)
		if match != nil {
			return match[len(match)-1]
		}
		if last {
			t.Fatalf("the program has exited and did not print %q; it printed:\n%s", pattern, o)
		}
		select {
		case <-changed:
		case <-exited:
			last = true
		case <-late:
			t.Fatalf("the program did not print %q; it printed:\n%s", pattern, o)
		}
	}
}

// find returns the match, or else a channel that the next Write closes.
func (o *Output) find(expression *regexp.Regexp) (match []string, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if match := expression.FindStringSubmatch(o.text.String()); match != nil {
		return match, nil
	}
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return nil, o.changed
}
