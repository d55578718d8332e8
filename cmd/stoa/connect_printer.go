package main

import (
	"io"
	"sync"
	"time"
)

// printer shows records, in the order of the calls. It may be used from any goroutine.
type printer struct {
	format func(record) []byte // immutable
	notes  io.Writer           // immutable; for explain; nil: output
	broken chan struct{}       // closed when output has failed

	mu     sync.Mutex
	output io.Writer // guarded by mu
	err    error     // guarded by mu; why broken is closed
}

func newPrinter(output io.Writer, format func(record) []byte) *printer {
	return &printer{format: format, broken: make(chan struct{}), output: output}
}

// show writes a record; the time is the present one.
func (p *printer) show(r record) {
	r.Time = time.Now()
	p.write(p.format(r))
}

// write writes whole lines.
func (p *printer) write(lines []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	if _, p.err = p.output.Write(lines); p.err != nil {
		close(p.broken)
	}
}

// explain writes text for people, where records are for programs beside them.
func (p *printer) explain(text string) {
	if p.notes == nil {
		p.write([]byte(text))
		return
	}
	_, _ = io.WriteString(p.notes, text) // nobody would hear of a failure
}

// redirect makes the printer write to another output, and returns the one before.
func (p *printer) redirect(output io.Writer) io.Writer {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.output
	p.output = output
	return before
}

// failure returns why output has failed, or nil.
func (p *printer) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
