package compat_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stoa-io/stoa/node"
)

// TestReadmeExample runs the Go example of the README with another port.
func TestReadmeExample(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := bytes.Cut(readme, []byte("<!-- example: go -->\n```go\n"))
	code, _, closed := bytes.Cut(rest, []byte("```"))
	address := []byte("ws://localhost:8080/ws")
	if !found || !closed || !bytes.Contains(code, address) {
		t.Fatalf("the README has no example in Go that dials %s", address)
	}
	s := startServer(t, node.TransportAuto, "127.0.0.1:0")
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, bytes.ReplaceAll(code, address, []byte(s.url())), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "example")
	if output, err := exec.Command("go", "build", "-o", binary, file).CombinedOutput(); err != nil {
		t.Fatalf("the example does not build: %v\n%s", err, output)
	}

	ada := dial(t, dialers["gorilla"], s, "ada")
	room := ada.join(t, ada.connect(t), "lobby")
	stdout := runExample(t, binary, ada)
	room.Emit("chat", []byte("Hello back"))
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "lobby: Hello back\n" {
		t.Errorf("the example printed %q (%v), want what was emitted", line, err)
	}
}

// runExample starts the example and waits for its hello. It starts another one if
// Dial does not return (see wakeUp).
func runExample(t *testing.T, binary string, witness *person) io.Reader {
	t.Helper()
	for range deadline / wakeUp {
		example := exec.Command(binary)
		stdout, err := example.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := example.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = example.Process.Kill()
			_ = example.Wait()
		})
		witness.mu.Lock()
		changed := witness.changed
		seen := len(witness.messages) > 0
		witness.mu.Unlock()
		if !seen {
			select {
			case <-changed:
			case <-time.After(wakeUp):
				continue
			}
		}
		if got := witness.received(t, 1)[0].body; got != "Hello from Go" {
			t.Fatalf("the example emitted %q, want %q", got, "Hello from Go")
		}
		return stdout
	}
	t.Fatal("the example never says hello")
	return nil
}
