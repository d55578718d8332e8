package clitest

import (
	"bytes"
	"regexp"
	"sync"
	"testing"
	"time"
)

// Patience bounds the wait for events that should happen at once.
const Patience = 20 * time.Second

// Output is a stream of a program that a test can wait on.
type Output struct {
	mu      sync.Mutex
	content bytes.Buffer  // guarded by mu
	changed chan struct{} // guarded by mu; closed by the next write; nil: not awaited
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.content.Write(p)
}

// String returns everything written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.content.String()
}

// Await waits until pattern matches the stream, and returns the first submatch.
func (o *Output) Await(t testing.TB, pattern string) string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	deadline := time.After(Patience)
	for {
		o.mu.Lock()
		match := expression.FindStringSubmatch(o.content.String())
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		o.mu.Unlock()
		if match != nil {
			return match[1]
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%q was not written; the output is:\n%s", pattern, o)
		}
	}
}
