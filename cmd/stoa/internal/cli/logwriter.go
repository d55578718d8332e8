package cli

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxLogBytes bounds the records that wait to be written.
	maxLogBytes = 1 << 20
	// logFlushWait bounds how long Close waits for the last records.
	logFlushWait = time.Second
)

// LogWriter writes on a goroutine of its own. A pipe that no process reads, or
// a slow disk, would otherwise stop the event loops and the connections to
// Redis, each at its next log record. Records for which there is no room are
// dropped; a line gives their number as soon as there is room again. Safe for
// concurrent use.
type LogWriter struct {
	out    io.Writer
	format string        // of the records
	wake   chan struct{} // capacity 1
	done   chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex // guards the rest
	waiting []byte     // whole records
	dropped int        // records since the last write
	closed  bool
}

// NewLogWriter starts a writer for records in a format; Close ends it.
func NewLogWriter(out io.Writer, format string) *LogWriter {
	w := &LogWriter{out: out, format: format, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// Write queues one record, or drops it. It never blocks and returns no error.
func (w *LogWriter) Write(record []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.waiting)+len(record) > maxLogBytes {
		w.dropped++
		return len(record), nil
	}
	w.waiting = append(w.waiting, record...)
	w.signal()
	return len(record), nil
}

// Close writes the waiting records, for a second at most. Later ones are
// dropped.
func (w *LogWriter) Close() {
	w.mu.Lock()
	w.closed = true
	w.signal()
	w.mu.Unlock()
	timer := time.NewTimer(logFlushWait)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
	}
}

// signal is called with mu held.
func (w *LogWriter) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *LogWriter) run() {
	defer close(w.done)
	var batch []byte
	for range w.wake {
		for {
			var dropped int
			var closed bool
			batch, dropped, closed = w.take(batch[:0])
			if dropped > 0 {
				batch = append(batch, w.notice(dropped)...)
			}
			if len(batch) == 0 {
				if closed {
					return
				}
				break
			}
			// The log is the only place for its own errors.
			_, _ = w.out.Write(batch)
		}
	}
}

// notice returns a record about dropped ones.
func (w *LogWriter) notice(dropped int) []byte {
	var record bytes.Buffer
	NewLogger(&record, w.format, slog.LevelWarn).Warn("log records were dropped, because the log was not read", "records", dropped)
	return record.Bytes()
}

// take moves the waiting records to a buffer that is not in use, and returns
// the number of those that were dropped after them.
func (w *LogWriter) take(buffer []byte) (records []byte, dropped int, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	records, w.waiting = w.waiting, buffer
	dropped, w.dropped = w.dropped, 0
	return records, dropped, w.closed
}
