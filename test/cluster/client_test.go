package cluster_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// maxFrame is more than any test sends.
const maxFrame = 1 << 20

// client is a raw WebSocket client with a goroutine that reads.
type client struct {
	id      string
	conn    net.Conn
	in      *bufio.Reader
	handle  func(text string) // gets every message without a token; called by the reader
	replies chan string       // messages with a token
	gone    chan struct{}     // closed when the connection has ended

	writing sync.Mutex // held while a frame is written

	mu      sync.Mutex        // guards the rest
	err     error             // why the connection has ended
	onReply func(text string) // takes messages with a token in place of replies
}

var errClosedHere = errors.New("the test has closed it")

// openClient dials a node and says hello.
func openClient(address string, handle func(text string)) (*client, error) {
	return openClientWith(address, "", handle)
}

// openClientWith is openClient for a client that names features in its hello.
func openClientWith(address, features string, handle func(text string)) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &client{
		conn: conn, in: bufio.NewReader(conn), handle: handle,
		replies: make(chan string, 64), gone: make(chan struct{}),
	}
	if err := c.hello(features); err != nil {
		_ = conn.Close()
		return nil, err
	}
	go c.read()
	return c, nil
}

func (c *client) hello(features string) error {
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	request := "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := io.WriteString(c.conn, request); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the upgrade was answered %s", response.Status)
	}
	if err := c.send("M" + features); err != nil {
		return err
	}
	text, err := c.next()
	if err != nil {
		return err
	}
	id, isAck := strings.CutPrefix(text, "A")
	if !isAck {
		return fmt.Errorf("hello was answered %q", text)
	}
	c.id = strings.TrimSuffix(id, features)
	return c.conn.SetReadDeadline(time.Time{})
}

// send sends a text message. It blocks while the node does not read.
func (c *client) send(text string) error { return c.write(ws.OpText, text) }

func (c *client) write(op ws.OpCode, payload string) error {
	frame := ws.MaskFrameInPlaceWith(ws.NewFrame(op, true, []byte(payload)), [4]byte{1, 2, 3, 4})
	encoded, err := ws.CompileFrame(frame)
	if err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err = c.conn.Write(encoded)
	return err
}

// next reads the next message and answers pings.
func (c *client) next() (string, error) {
	for {
		header, err := ws.ReadHeader(c.in)
		if err != nil {
			return "", err
		}
		if header.Length > maxFrame || !header.Fin {
			return "", fmt.Errorf("frame of %d bytes, final: %t", header.Length, header.Fin)
		}
		payload := make([]byte, header.Length)
		if _, err := io.ReadFull(c.in, payload); err != nil {
			return "", err
		}
		switch header.OpCode {
		case ws.OpPing:
			if err := c.write(ws.OpPong, string(payload)); err != nil {
				return "", err
			}
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			return "", fmt.Errorf("closed by the node with %d %q", code, reason)
		case ws.OpText:
			return string(payload), nil
		default:
			return "", fmt.Errorf("frame of type %d", header.OpCode)
		}
	}
}

// read is the goroutine of a client.
func (c *client) read() {
	defer close(c.gone)
	for {
		text, err := c.next()
		if err != nil {
			c.end(err)
			return
		}
		if strings.HasPrefix(text, ";") || strings.HasPrefix(text, "@") {
			c.handle(text)
			continue
		}
		c.mu.Lock()
		onReply := c.onReply
		c.mu.Unlock()
		if onReply != nil {
			onReply(text)
			continue
		}
		select {
		case c.replies <- text:
		default:
			c.end(fmt.Errorf("unexpected message %.200q", text))
			return
		}
	}
}

// end records why the connection ends; the first reason counts.
func (c *client) end(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = reason
		_ = c.conn.Close()
	}
}

// close ends the connection and waits for the reader.
func (c *client) close() {
	c.end(errClosedHere)
	<-c.gone
}

// problem is why the connection has ended, nil while it is open.
func (c *client) problem() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// request sends a message with a token and waits for the answer; one at a time.
func (c *client) request(message string) (string, error) {
	if err := c.send(message); err != nil {
		return "", err
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case reply := <-c.replies:
		return reply, nil
	case <-c.gone:
		return "", c.problem()
	case <-limit.C:
		return "", fmt.Errorf("no answer to %.200q", message)
	}
}

// system sends a request of the protocol that must be granted.
func (c *client) system(in, room, event string) error {
	reply, err := c.request("$s;" + escape(in) + ";" + escape(room) + ";" + event + ";0;0;")
	if err != nil {
		return err
	}
	if reply != "$s;;;;;;" {
		return fmt.Errorf("%s of room %q in namespace %q was answered %.200q", event, room, in, reply)
	}
	return nil
}

func (c *client) connect(in string) error    { return c.system(in, "", "_OnNamespaceConnect") }
func (c *client) join(in, room string) error { return c.system(in, room, "_OnRoomJoin") }

// sync returns when the node has handled everything that was sent before: an
// ask without a room is answered in its turn.
func (c *client) sync(in string) error {
	_, err := c.request("$sync;" + escape(in) + ";;nobody;0;0;")
	return err
}

// emit is a message as it is sent and received.
func emit(in, room, event, body string) string {
	return ";" + escape(in) + ";" + escape(room) + ";" + escape(event) + ";0;0;" + body
}

// escape is how names travel.
func escape(name string) string { return strings.ReplaceAll(name, ";", "@%!semicolon@%!") }
