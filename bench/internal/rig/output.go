//go:build linux

package rig

import (
	"regexp"
	"sync"
)

// addressPattern ends with a byte that is not part of an address, so it never
// matches a port of which only the first digits have been written.
var addressPattern = regexp.MustCompile(`(?:http|ws)://(127\.0\.0\.1:[0-9]+)[^0-9]`)

// outputKept is how much of a process's output is kept for error messages.
const outputKept = 4 << 10

// An output keeps the end of a process's output and finds the address in it. It
// is safe for concurrent use.
type output struct {
	mu    sync.Mutex
	text  []byte // guarded by mu
	found bool   // guarded by mu
	// address receives the host and port of the first http:// or ws:// address.
	address chan string
}

func newOutput() *output { return &output{address: make(chan string, 1)} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	if match := addressPattern.FindSubmatch(o.text); match != nil && !o.found {
		o.found = true
		o.address <- string(match[1])
	}
	if extra := len(o.text) - outputKept; extra > 0 {
		o.text = o.text[extra:]
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.text) == 0 {
		return "(nothing)"
	}
	return string(o.text)
}
