package client_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/client"
)

// startAnswering accepts TCP connections and answers each upgrade request with
// these bytes, in which KEY stands for the right Sec-WebSocket-Accept. It then
// acknowledges the client and waits for its end. The channel gets the requests.
func startAnswering(tb testing.TB, answer string) (address string, requests <-chan *http.Request) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	seen := make(chan *http.Request, 100)
	go func() {
		for {
			socket, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = socket.Close() }()
				in := bufio.NewReader(socket)
				request, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				seen <- request
				sum := sha1.Sum([]byte(request.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
				reply := strings.ReplaceAll(answer, "KEY", base64.StdEncoding.EncodeToString(sum[:]))
				// The acknowledgement arrives in the segment of the answer.
				_, _ = io.WriteString(socket, reply+"\x81\x03Aid")
				for f, err := readFrame(in); err == nil && f.Header.OpCode != ws.OpClose; f, err = readFrame(in) {
				}
			}()
		}
	}()
	return "ws://" + listener.Addr().String() + "/ws?a=b", seen
}

const (
	plainAnswer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n\r\n"
	maxAnswer   = 64 << 10
)

// Proxies may add elements to the lists of the answer, and lines.
func TestAnswersToTheHandshake(t *testing.T) {
	with := func(old, replacement string) string { return strings.Replace(plainAnswer, old, replacement, 1) }
	for name, c := range map[string]struct {
		answer string
		err    string // contained in the error; "": accepted
	}{
		"plain":                    {plainAnswer, ""},
		"names in lower case":      {with("Connection: Upgrade\r\nSec-WebSocket-Accept", "connection: upgrade\r\nsec-websocket-accept"), ""},
		"upgrade and keep-alive":   {with("Connection: Upgrade", "Connection: upgrade, keep-alive"), ""},
		"keep-alive in front":      {with("Connection: Upgrade", "Connection: Keep-Alive,Upgrade"), ""},
		"two Connection lines":     {with("Connection: Upgrade", "Connection: keep-alive\r\nconnection: UPGRADE"), ""},
		"several Upgrade elements": {with("Upgrade: websocket", "Upgrade: h2c, WebSocket"), ""},
		"early hints":              {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + plainAnswer, ""},
		"another reason":           {with("Switching Protocols", "OK"), ""},
		"further fields":           {with("\r\n\r\n", "\r\nSet-Cookie: a=b\r\nServer: proxy\r\n\r\n"), ""},
		"lines without CR":         {strings.ReplaceAll(plainAnswer, "\r", ""), ""},

		"no Connection":             {with("Connection: Upgrade\r\n", ""), "Connection"},
		"an element that resembles": {with("Connection: Upgrade", "Connection: upgraded"), "Connection"},
		"no Upgrade":                {with("Upgrade: websocket\r\n", ""), "Upgrade"},
		"another Upgrade":           {with("Upgrade: websocket", "Upgrade: h2c"), "Upgrade"},
		"another key":               {with("KEY", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "Sec-WebSocket-Accept"},
		"two keys":                  {with("\r\n\r\n", "\r\nSec-WebSocket-Accept: KEY\r\n\r\n"), "Sec-WebSocket-Accept"},
		"an extension":              {with("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"), "Sec-WebSocket-Extensions"},
		"a subprotocol":             {with("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n"), "Sec-WebSocket-Protocol"},
		"HTTP/1.0":                  {with("HTTP/1.1", "HTTP/1.0"), "HTTP/1.0"},
		"no HTTP":                   {"SSH-2.0-OpenSSH_9.9\r\n", "HTTP"},
		"an endless status line":    {"HTTP/1.1 101 " + strings.Repeat("x", 2*maxAnswer), "more than"},
		"an endless line":           {with("\r\n\r\n", "\r\nX: "+strings.Repeat("x", 2*maxAnswer)), "more than"},
		"endless lines":             {with("\r\n\r\n", strings.Repeat("\r\nX: y", maxAnswer)), "more than"},
		"endless answers":           {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxAnswer), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := startAnswering(t, c.answer)
			conn, err := client.Dial(background(t), address, client.Options{Reconnect: client.Reconnect{Off: true}})
			if err == nil {
				defer func() { _ = conn.Close() }()
			}
			switch {
			case c.err == "" && err != nil:
				t.Errorf("Dial: %v, want no error", err)
			case c.err == "":
				if conn.ID() != "id" {
					t.Errorf("the ID is %q, want that of the acknowledgement in the segment of the answer", conn.ID())
				}
			case err == nil || !strings.Contains(err.Error(), c.err):
				t.Errorf("Dial: %v, want an error with %q", err, c.err)
			case name != "no HTTP" && !errors.Is(err, client.ErrProtocol) && !errors.Is(err, client.ErrTooBig):
				t.Errorf("Dial: %v, want %v or %v", err, client.ErrProtocol, client.ErrTooBig)
			}
		})
	}
}

func TestRequestOfTheHandshake(t *testing.T) {
	address, requests := startAnswering(t, plainAnswer)
	header := http.Header{"Host": {"chat.example.com"}, "X-Two": {"1", "2"}}
	dial(t, strings.Replace(address, "ws://", "ws://ann:secret@", 1), client.Options{Header: header})
	got := receive(t, "a request", requests)
	for name, want := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-Websocket-Version": "13", "X-Two": "1+2",
		"Authorization": "Basic YW5uOnNlY3JldA==", "User-Agent": "", "Origin": "",
	} {
		if values := strings.Join(got.Header.Values(name), "+"); values != want {
			t.Errorf("%s: %q, want %q", name, values, want)
		}
	}
	if got.Host != "chat.example.com" || got.RequestURI != "/ws?a=b" || got.Proto != "HTTP/1.1" {
		t.Errorf("%s %s for the host %s", got.Proto, got.RequestURI, got.Host)
	}
	if key, err := base64.StdEncoding.DecodeString(got.Header.Get("Sec-Websocket-Key")); err != nil || len(key) != 16 {
		t.Errorf("the key is %q, want 16 bytes in base64", got.Header.Get("Sec-Websocket-Key"))
	}
	if len(header) != 2 {
		t.Errorf("the application's header has become %v", header)
	}
}

// A server that does not finish its answer is given up with the attempt.
func TestAnswerThatDoesNotEnd(t *testing.T) {
	address, requests := startAnswering(t, strings.TrimSuffix(plainAnswer, "\r\n"))
	ctx, cancel := context.WithCancel(background(t))
	go func() {
		<-requests
		cancel()
	}()
	if _, err := client.Dial(ctx, address, client.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v, want %v", err, context.Canceled)
	}
}
