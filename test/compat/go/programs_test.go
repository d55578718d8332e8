package compat_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/kataras/neffos"
	"github.com/kataras/neffos/gobwas"

	"github.com/stoa-io/stoa/internal/testkit"
)

// exampleProgram is one of the programs in examples, as a process.
type exampleProgram struct {
	*testkit.Process
	address string
}

const listensAt = `listening on (?:ws|http)://([^/\s]+)`

// buildExample builds examples/name and returns the binary.
func buildExample(t testing.TB, name string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-o", binary, "./examples/"+name)
	build.Dir = filepath.Join("..", "..", "..") // the module of the examples
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("examples/%s does not build: %v\n%s", name, err, output)
	}
	return binary
}

// runBinary starts a built example on a free port and waits until it listens.
// At the end of the test, SIGTERM must end it without an error.
func runBinary(t testing.TB, binary string, arguments ...string) *exampleProgram {
	t.Helper()
	command := exec.Command(binary, append([]string{"-listen", "127.0.0.1:0"}, arguments...)...)
	p := &exampleProgram{Process: testkit.StartProcess(t, command)}
	t.Cleanup(func() {
		p.Signal(syscall.SIGTERM)
		if state := p.Wait(t); !state.Success() {
			t.Errorf("%s ended with %s", binary, state)
		}
	})
	p.address = p.Await(t, listensAt)
	return p
}

func (p *exampleProgram) url(query string) string { return "ws://" + p.address + "/ws" + query }

// guest is a client of an example: a person with handlers of the test. It records
// the events that have no handler.
func guest(t testing.TB, name, url, namespace string, header http.Header, events neffos.Events) (*person, error) {
	t.Helper()
	dialer := gobwas.Dialer(ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)})
	for range deadline / wakeUp {
		p := &person{name: name, changed: make(chan struct{})}
		all := neffos.Events{neffos.OnAnyEvent: p.receive}
		for event, handler := range events {
			all[event] = handler
		}
		sockets := make(chan *watchedSocket, 1)
		watched := func(ctx context.Context, url string) (neffos.Socket, error) {
			socket, err := dialer(ctx, url)
			if err != nil {
				return nil, err
			}
			watched := newWatchedSocket(socket)
			sockets <- watched
			return watched, nil
		}
		ctx := within(t)
		done := make(chan error, 1)
		go func() {
			var err error
			p.Client, err = neffos.Dial(ctx, watched, url, neffos.Namespaces{namespace: all})
			done <- err
		}()
		select {
		case err := <-done:
			if err != nil {
				return nil, err
			}
			p.socket = <-sockets
			t.Cleanup(p.Close)
			return p, nil
		case <-time.After(wakeUp):
			select {
			case socket := <-sockets:
				socket.NetConn().Close()
			default:
			}
		}
	}
	t.Fatalf("%s: Dial never returns", name)
	return nil, nil
}

// enter is guest, connected to the namespace.
func enter(t testing.TB, name, url, namespace string, header http.Header, events neffos.Events) (*person, *neffos.NSConn) {
	t.Helper()
	p, err := guest(t, name, url, namespace, header, events)
	if err != nil {
		t.Fatalf("%s: Dial: %v", name, err)
	}
	p.socket.quiet(t)
	ns, err := p.Connect(within(t), namespace)
	if err != nil {
		t.Fatalf("%s: Connect: %v", name, err)
	}
	return p, ns
}

// ask asks the server, with the body as JSON.
func (p *person) ask(t testing.TB, ns *neffos.NSConn, event string, body any) (string, error) {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	p.socket.quiet(t)
	answer, err := ns.Ask(within(t), event, encoded)
	return string(answer.Body), err
}

// awaitSystem waits for a system event of the client, "name room".
func (p *person) awaitSystem(t testing.TB, want string) {
	t.Helper()
	late := time.After(deadline)
	for {
		p.mu.Lock()
		changed, have := p.changed, false
		for _, event := range p.system {
			have = have || event == want
		}
		p.mu.Unlock()
		if have {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%s: %q has not come; there is %q", p.name, want, p.lifecycle())
		}
	}
}
