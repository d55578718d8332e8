package connect

import (
	"io"
	"sync"
	"time"
)

// printer shows records in the order of the calls. It is safe for concurrent
// use.
type printer struct {
	format func(record) []byte // immutable
	notes  io.Writer           // immutable; of explain; nil: output
	broken chan struct{}       // closed after a failed write

	mu     sync.Mutex
	output io.Writer // guarded by mu
	err    error     // guarded by mu; of the failed write
}

func newPrinter(output io.Writer, format func(record) []byte) *printer {
	return &printer{format: format, broken: make(chan struct{}), output: output}
}

// show writes a record with the current time.
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

// explain writes text for the user, and never between JSON records.
func (p *printer) explain(text string) {
	if p.notes == nil {
		p.write([]byte(text))
		return
	}
	_, _ = io.WriteString(p.notes, text) // standard error is the last place to report to
}

// redirect replaces the output and returns the previous one.
func (p *printer) redirect(output io.Writer) io.Writer {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.output
	p.output = output
	return before
}

// failure returns the error of the failed write, or nil.
func (p *printer) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
