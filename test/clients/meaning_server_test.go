package clients_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/wire"
)

// actingServer is a server that behaves as its clients ask it to. The URL sets
// how a connection begins, by its number from 0, with a list for each
// parameter; the last element is repeated:
//
//	status  the HTTP status, 101 to upgrade
//	after   the field Retry-After of a refusal
//	refuse  the text in place of the acknowledgement
//	mute    any text: no acknowledgement
//	deny    room=TEXT: how a join of the room is refused; empty: it is not
//	recover the answer to joins with recovery, and the bodies and positions of
//	        the news that follow: "1 p2 1 two@p2"; empty: the server has no
//	        positions
//	volatile any text: it knows volatile emits
//	publish the reactions to confirmed emits, by their number; see published
//
// The list verify has the refusals of the tokens that clients hand in, empty
// for one that is good.
//
// The event of an ask or emit sets the reaction:
//
//	close   sends a close frame with the code and the reason in the body
//	cut     ends the connection
//	send    sends the body as it is
//	fail    answers with the body as the error
//	mute    does not answer
type actingServer struct {
	t        testing.TB
	listener net.Listener
	group    sync.WaitGroup

	mu      sync.Mutex
	sockets []net.Conn // guarded by mu; all that were accepted
	answers []string   // guarded by mu; of clients to requests of the server
	emits   []string   // guarded by mu; that have no meaning here; credentials
	tokens  int        // guarded by mu; that clients have handed in

	publishes int // guarded by mu; confirmed emits
}

func startActing(t testing.TB) *actingServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &actingServer{t: t, listener: listener}
	s.group.Go(func() {
		for {
			socket, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			number := len(s.sockets)
			s.sockets = append(s.sockets, socket)
			s.mu.Unlock()
			s.group.Go(func() {
				defer func() { _ = socket.Close() }()
				s.serve(socket, number)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.mu.Lock()
		for _, socket := range s.sockets {
			_ = socket.Close()
		}
		s.mu.Unlock()
		s.group.Wait()
	})
	return s
}

// dials returns how often a client has dialed.
func (s *actingServer) dials() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sockets)
}

// of returns the element of a list for a connection.
func of(list string, number int) string {
	all := strings.Split(list, ",")
	return all[min(number, len(all)-1)]
}

func (s *actingServer) serve(socket net.Conn, number int) {
	in := bufio.NewReader(socket)
	head, request, err := readHead(in)
	if err != nil {
		return
	}
	query := request.URL.Query()
	if credentials := request.Header.Get("Authorization"); credentials != "" {
		s.note(&s.emits, credentials)
	}
	if status := of(query.Get("status"), number); status != "" && status != "101" {
		after := ""
		if seconds := of(query.Get("after"), number); seconds != "" {
			after = "Retry-After: " + seconds + "\r\n"
		}
		_, _ = fmt.Fprintf(socket, "HTTP/1.1 %s Refused\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", status, after)
		return
	}
	if _, err := ws.Upgrade(struct {
		io.Reader
		io.Writer
	}{io.MultiReader(strings.NewReader(head), in), socket}); err != nil {
		return
	}
	for {
		f, err := testkit.ReadFrame(in)
		if err != nil || f.Header.OpCode == ws.OpClose {
			return
		}
		f = ws.UnmaskFrameInPlace(f)
		if !f.Header.OpCode.IsData() || len(f.Payload) == 0 {
			continue
		}
		if !s.act(socket, number, query, string(f.Payload)) {
			return
		}
	}
}

// readHead reads a request, and returns its bytes for the upgrade.
func readHead(in *bufio.Reader) (head string, request *http.Request, err error) {
	for {
		line, err := in.ReadString('\n')
		if head += line; err != nil {
			return "", nil, err
		}
		if line == "\r\n" {
			break
		}
	}
	request, err = http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	return head, request, err
}

// act reacts to a payload; false ends the connection.
func (s *actingServer) act(socket net.Conn, number int, query url.Values, payload string) bool {
	send := func(text string) { _ = ws.WriteFrame(socket, ws.NewTextFrame([]byte(text))) }
	if _, isHello := wire.ParseHello([]byte(payload)); isHello {
		switch refuse := of(query.Get("refuse"), number); {
		case refuse != "":
			send("H" + refuse)
			_ = ws.WriteFrame(socket, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(wire.CodePolicy), refuse)))
		case of(query.Get("mute"), number) == "":
			acknowledgement := fmt.Sprint("Aconnection ", number)
			if of(query.Get("recover"), number) != "" {
				acknowledgement += " positions"
			}
			if of(query.Get("volatile"), number) != "" {
				acknowledgement += " volatile"
			}
			send(acknowledgement)
		}
		return true
	}
	m, err := wire.Parse([]byte(payload), false)
	if err != nil {
		s.t.Errorf("a client sends %q: %v", payload, err)
		return false
	}
	token, event, body := string(m.Token), string(m.Event), string(m.Body)
	if wire.IsVolatile(m.Token) {
		s.note(&s.emits, fmt.Sprintf("volatile %s %s %s", m.Room, event, body))
		return true
	}
	if token != "" && token[0] != '$' {
		s.note(&s.answers, payload)
		return true
	}
	refusal := ""
	switch event {
	case wire.EventRoomRecover:
		s.note(&s.emits, string(m.Room)+" "+body)
		m.Event = nil
		s.recover(send, &m, strings.Fields(of(query.Get("recover"), number)))
		return true
	case wire.EventRoomPublish:
		return s.published(send, &m, query.Get("publish"))
	case wire.EventHistory:
		s.note(&s.emits, string(m.Room)+" "+body)
		m.Body = []byte(page)
		send(string(wire.Append(nil, &m)))
		return true
	case wire.EventPresence:
		s.note(&s.emits, string(m.Room)+" "+body)
		m.Body = []byte(firstMembers)
		if strings.Contains(body, "after") {
			m.Body = []byte(lastMembers)
		}
		send(string(wire.Append(nil, &m)))
		return true
	case wire.EventRoomJoin:
		room, text, _ := strings.Cut(of(query.Get("deny"), number), "=")
		if room == string(m.Room) {
			refusal = text
		}
	case wire.EventAuthenticate:
		s.note(&s.emits, body)
		refusal = of(query.Get("verify"), s.countToken())
	case "close":
		code, reason, _ := strings.Cut(body, " ")
		var data []byte
		if value, err := strconv.Atoi(code); err == nil {
			data = ws.NewCloseFrameBody(ws.StatusCode(value), reason)
		}
		_ = ws.WriteFrame(socket, ws.NewCloseFrame(data))
		return true
	case "cut":
		return false
	case "mute":
		return true
	case "send":
		send(body)
	case "fail":
		refusal = body
		if body == "" {
			send(string(wire.Append(nil, &wire.Message{Token: m.Token, Namespace: m.Namespace, Event: m.Event, Error: true})))
			return true
		}
	default:
		if token == "" {
			s.note(&s.emits, event+" "+body)
		}
	}
	switch {
	case token == "":
	case refusal != "":
		send(string(wire.AppendError(nil, &m, refusal)))
	case wire.IsSystemEvent(m.Event):
		send(token + ";;;;;;")
	default:
		m.Error = false
		send(string(wire.Append(nil, &m)))
	}
	return true
}

// page is a part of a history.
const page = `{"entries":[{"position":"p1","time":1700000000123,"event":"news","body":"one","user":"u"},{"position":"p2","time":1,"event":"e","binary":"AAE="}],"more":true,"found":false}`

// firstMembers and lastMembers are the pages of a room's members.
const (
	firstMembers = `{"members":[{"conn":"x","conns":1},{"user":"ann","conns":2,"info":{"n":[1]}}],"count":3,"next":"uann"}`
	lastMembers  = `{"members":[{"user":"bob","conns":1}],"count":3}`
)

// recover answers a join with recovery, and sends the news that follow.
func (s *actingServer) recover(send func(string), m *wire.Message, answer []string) {
	m.Body = []byte(strings.Join(answer[:3], ",") + ";")
	if answer[1] == "none" {
		m.Body = []byte("0,,0;")
	}
	send(string(wire.Append(nil, m)))
	for _, news := range answer[3:] {
		body, position, _ := strings.Cut(news, "@")
		send("@" + position + ";" + string(m.Namespace) + ";" + string(m.Room) + ";news;0;0;" + body)
	}
}

// countToken returns the number of a token, from 0.
func (s *actingServer) countToken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens++
	return s.tokens - 1
}

func (s *actingServer) note(list *[]string, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, line)
}

// noted returns a copy of a list.
func (s *actingServer) noted(list *[]string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(*list)
}
