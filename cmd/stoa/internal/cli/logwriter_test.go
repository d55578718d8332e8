package cli_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/internal/testkit"
)

// TestLogWriterNeverBlocks writes to a pipe that is not read: all calls return,
// memory is bounded, and when the pipe is read, the log says how much it lacks.
func TestLogWriterNeverBlocks(t *testing.T) {
	reader, writer := io.Pipe()
	log := cli.NewLogWriter(writer, cli.FormatText)
	record := []byte(strings.Repeat("x", 1023) + "\n")
	const records = 4096
	for range records {
		if n, err := log.Write(record); n != len(record) || err != nil {
			t.Fatalf("Write = %d, %v; want %d, nil", n, err, len(record))
		}
	}
	var read testkit.Output
	go func() { _, _ = io.Copy(&read, reader) }()
	read.Await(t, `level=WARN msg="log records were dropped, because the log was not read" records=[1-9][0-9]+\n`)
	if _, err := io.WriteString(log, "later\n"); err != nil {
		t.Fatal(err)
	}
	log.Close()
	text := read.String()
	if got := strings.Count(text, string(record)); got < 1024 || got > 2*1024 {
		t.Errorf("%d of %d records of 1 KiB were kept, want between 1 and 2 MiB", got, records)
	}
	if !strings.HasSuffix(text, "later\n") {
		t.Errorf("the log ends in %q, want the last record", text[len(text)-80:])
	}
	_ = writer.Close()
}

// TestLogWriterCloseIsBounded closes a log that is not read.
func TestLogWriterCloseIsBounded(t *testing.T) {
	reader, writer := io.Pipe()
	log := cli.NewLogWriter(writer, cli.FormatText)
	if _, err := io.WriteString(log, "a record\n"); err != nil {
		t.Fatal(err)
	}
	log.Close()
	_ = reader.Close()
}
