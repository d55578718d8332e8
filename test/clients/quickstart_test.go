package clients_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/node"
)

// deadline bounds every wait; only failing tests reach it.
const deadline = time.Minute

// top is the top of the repository.
var top = filepath.Join("..", "..")

// startNode serves an open namespace, as "stoa serve" does.
func startNode(t *testing.T) (url string) {
	t.Helper()
	n, err := node.New(node.Config{Namespaces: map[string]node.NamespaceOptions{"default": {Relay: node.RelayRooms}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	t.Cleanup(func() {
		if err := errors.Join(n.Close(), <-served); !errors.Is(err, node.ErrClosed) {
			t.Errorf("the node ended with %v", err)
		}
	})
	return "ws://" + n.Addr().String() + "/ws"
}

// example returns a code block of docs/clients.md with another URL to dial.
func example(t *testing.T, name, url string) []byte {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(top, "docs", "clients.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := bytes.Cut(page, []byte("<!-- example: "+name+" -->\n```go\n"))
	code, _, closed := bytes.Cut(rest, []byte("```"))
	dialed := []byte("ws://localhost:8080/ws")
	if !found || !closed || !bytes.Contains(code, dialed) {
		t.Fatalf("the page has no example %q that dials %s", name, dialed)
	}
	return bytes.ReplaceAll(code, dialed, []byte(url))
}

// TestQuickStart follows the quick start for Go in an empty folder.
func TestQuickStart(t *testing.T) {
	url := startNode(t)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "main.go"), example(t, "client", url), 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{
		{"mod", "init", "example.com/hello"},
		{"mod", "edit", "-require", "github.com/stoa-io/stoa@v0.0.0", "-replace", "github.com/stoa-io/stoa=" + tree},
		{"mod", "tidy"},
		{"build", "-o", "hello", "."},
	} {
		command := exec.Command("go", arguments...)
		command.Dir = folder
		// A workspace of the developer is not part of an empty folder.
		command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", arguments, err, output)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	heard := make(chan string, 1)
	lobby := enterLobby(t, ctx, url, heard)
	hello := exec.CommandContext(ctx, filepath.Join(folder, "hello"))
	stdout, err := hello.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hello.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = hello.Process.Kill()
		_ = hello.Wait() // it was killed
	})
	select {
	case got := <-heard:
		if got != "Hello from Go" {
			t.Errorf("the example emitted %q, want %q", got, "Hello from Go")
		}
	case <-ctx.Done():
		t.Fatal("the example says nothing")
	}
	if err := lobby.Emit("chat", []byte("Hello back")); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "lobby: Hello back\n" {
		t.Errorf("the example printed %q (%v), want the emitted message", line, err)
	}
}

// enterLobby dials another member of the room, which passes on the messages.
func enterLobby(t *testing.T, ctx context.Context, url string, heard chan<- string) *client.Room {
	t.Helper()
	var declared client.Namespace
	declared.OnEmit("chat", func(_ context.Context, e *client.EmitEvent) error {
		heard <- string(e.Body)
		return nil
	})
	conn, err := client.Dial(ctx, url, client.Options{Namespaces: map[string]*client.Namespace{"default": &declared}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	namespace, err := conn.Connect(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	lobby, err := namespace.JoinRoom(ctx, "lobby")
	if err != nil {
		t.Fatal(err)
	}
	return lobby
}
