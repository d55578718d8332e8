package node_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/testkit"
)

// wild is a client that sends anything, in any order.
type wild struct {
	l    *ledger
	conn net.Conn
	in   *bufio.Reader

	mu   sync.Mutex      // also of writing
	open map[string]bool // asks without an answer
	last int
}

// run opens a connection and uses it for a while. It returns an error only when
// the node accepts no more connections.
func (l *ledger) run(address string, asks *atomic.Int64) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	w := &wild{l: l, conn: conn, in: bufio.NewReader(conn), open: make(map[string]bool)}
	_ = conn.SetDeadline(time.Now().Add(3 * patience))
	if _, err := conn.Write([]byte(upgradeRequest("/ws"))); err != nil {
		return err
	}
	response, err := http.ReadResponse(w.in, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("upgrade: %w", err)
	}
	if rand.IntN(50) == 0 {
		return nil // without a hello
	}
	w.write("M")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.read()
	}()
	for range 20 + rand.IntN(60) {
		w.act()
		if rand.IntN(4) == 0 {
			runtime.Gosched()
		}
	}
	asks.Add(int64(w.last))
	switch rand.IntN(4) {
	case 0: // without a close frame
	case 1:
		w.mu.Lock()
		_, _ = conn.Write([]byte(frame(ws.OpClose, true, "\x03\xe8")))
		w.mu.Unlock()
		<-ended
	default:
		w.drain(ended)
	}
	_ = conn.Close()
	<-ended
	return nil
}

// drain waits until every ask is answered or the connection has closed.
func (w *wild) drain(ended chan struct{}) {
	deadline := time.After(patience)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		w.mu.Lock()
		open := len(w.open)
		w.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-ended:
			return
		case <-poll.C:
		case <-deadline:
			w.wrong("an ask is never answered")
			return
		}
	}
}

func (w *wild) wrong(what string) {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	w.l.want(what, false)
}

// write sends a text. Errors do not matter: the reader notices the close.
func (w *wild) write(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.conn.Write([]byte(frame(ws.OpText, true, text)))
}

// act sends one message, with or without a token.
func (w *wild) act() {
	namespace := []string{"a", "b"}[rand.IntN(2)]
	room := fmt.Sprint("r", rand.IntN(3))
	events := []string{"echo", "back", "leave", "panic", "seen", "relayed", "echo", "relayed"}
	head, must := "", false
	switch kind := rand.IntN(20); {
	case kind < 4:
		head, must = namespace+";;_OnNamespaceConnect", true
	case kind < 8:
		head, must = namespace+";"+room+";_OnRoomJoin", true
	case kind < 10:
		head, must = namespace+";"+room+";_OnRoomLeave", true
	case kind < 11:
		head, must = namespace+";;_OnNamespaceDisconnect", true
	default:
		if rand.IntN(2) == 0 {
			room = ""
		}
		head = namespace + ";" + room + ";" + events[rand.IntN(len(events))]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	token := ""
	if must || rand.IntN(2) == 0 {
		w.last++
		token = fmt.Sprint("$", w.last)
		w.open[token] = true
	}
	body := "body"
	if rand.IntN(10) == 0 {
		body = strings.Repeat("x", 3000)
	}
	_, _ = w.conn.Write([]byte(frame(ws.OpText, true, token+";"+head+";0;0;"+body)))
}

// read takes answers, and answers most asks, some with an error, some not at
// all.
func (w *wild) read() {
	for {
		f, err := testkit.ReadFrame(w.in)
		if err != nil {
			return
		}
		text := string(f.Payload)
		switch {
		case f.Header.OpCode == ws.OpClose:
			w.mu.Lock()
			_, _ = w.conn.Write([]byte(frame(ws.OpClose, true, text)))
			w.mu.Unlock()
			return
		case f.Header.OpCode == ws.OpPing:
			w.mu.Lock()
			_, _ = w.conn.Write([]byte(frame(ws.OpPong, true, text)))
			w.mu.Unlock()
		case strings.HasPrefix(text, "$"):
			token, _, _ := strings.Cut(text, ";")
			w.mu.Lock()
			known := w.open[token]
			delete(w.open, token)
			w.mu.Unlock()
			if !known {
				w.wrong("an ask is answered twice")
			}
		default:
			answer := replyTo(text)
			switch how := rand.IntN(50); {
			case answer == "" || how == 0:
			case how < 5:
				token, _, _ := strings.Cut(answer, ";")
				w.write(token + ";;;e;1;0;no")
			default:
				w.write(answer)
			}
		}
	}
}
