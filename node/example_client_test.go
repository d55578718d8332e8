package node_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"strings"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// exampleClient speaks just enough of the protocol to talk to a node. It stands
// for a browser or an app with a client library.
type exampleClient struct {
	conn   net.Conn
	tokens int
}

// exampleDial connects to the endpoint of a node, or of a server that mounts
// one.
func exampleDial(addr net.Addr) *exampleClient {
	conn, _, _, err := ws.Dial(context.Background(), "ws://"+addr.String()+"/ws")
	if err != nil {
		log.Fatal(err)
	}
	c := &exampleClient{conn: conn}
	c.send("M")
	c.receive() // the acknowledgement, with the connection's ID
	return c
}

func (c *exampleClient) send(text string) {
	if err := wsutil.WriteClientText(c.conn, []byte(text)); err != nil {
		log.Fatal(err)
	}
}

// receive returns the fields of the next message: token, namespace, room,
// event, error flag, no-op flag, body.
func (c *exampleClient) receive() []string {
	text, err := wsutil.ReadServerText(c.conn)
	if err != nil {
		return []string{"", "", "", "closed", "", "", err.Error()}
	}
	return strings.SplitN(string(text), ";", 7)
}

// ask returns the body of the answer, or its error in parentheses.
func (c *exampleClient) ask(namespace, room, event, body string) string {
	c.tokens++
	token := fmt.Sprint("$", c.tokens)
	c.send(strings.Join([]string{token, namespace, room, event, "0", "0", body}, ";"))
	for {
		if m := c.receive(); m[0] == token && m[4] == "1" {
			return "(" + m[6] + ")"
		} else if m[0] == token {
			return m[6]
		}
	}
}

func (c *exampleClient) connect(namespace string) string {
	return c.ask(namespace, "", wire.EventNamespaceConnect, "")
}

func (c *exampleClient) join(namespace, room string) string {
	return c.ask(namespace, room, wire.EventRoomJoin, "")
}

func (c *exampleClient) emit(namespace, room, event, body string) {
	c.send(strings.Join([]string{"", namespace, room, event, "0", "0", body}, ";"))
}

// next waits for the next event of the server.
func (c *exampleClient) next() (event, body string) {
	m := c.receive()
	return m[3], m[6]
}

// accept accepts the next request of the server, to join a room for example.
func (c *exampleClient) accept() { c.send(c.receive()[0] + ";;;;;;") }

// reply answers the next ask of the server.
func (c *exampleClient) reply(body string) {
	m := c.receive()
	c.send(strings.Join([]string{m[0], m[1], m[2], m[3], "0", "0", body}, ";"))
}

// exampleServe serves a node on a free port until stop is called.
func exampleServe(n *node.Node) (stop func()) {
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		log.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = n.Serve() // returns node.ErrClosed after Close
	}()
	return func() {
		_ = n.Close()
		<-served
	}
}
