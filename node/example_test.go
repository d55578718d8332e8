package node_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/stoa-io/stoa/codec"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// A server for one namespace, in which the members of a room talk to each other
// and may ask for the time.
func Example() {
	n, err := node.New(node.Config{})
	if err != nil {
		log.Fatal(err)
	}
	chat := n.Namespace("chat").Configure(node.NamespaceOptions{Relay: true})
	chat.OnJoin(func(_ context.Context, _ *node.NSConn, room string) error {
		if room == "office" {
			return errors.New("staff only")
		}
		return nil
	})
	chat.OnAsk("time", func(context.Context, *node.NSConn, *node.Message) ([]byte, error) {
		return []byte("noon"), nil
	})
	stop := exampleServe(n) // Listen and Serve
	defer stop()

	ann, bob := exampleDial(n.Addr()), exampleDial(n.Addr())
	for _, client := range []*exampleClient{ann, bob} {
		client.connect("chat")
		client.join("chat", "lobby")
	}
	fmt.Println(ann.join("chat", "office"))
	fmt.Println(ann.ask("chat", "", "time", ""))
	ann.emit("chat", "lobby", "say", "hello")
	fmt.Println(bob.next())
	// Output:
	// (staff only)
	// noon
	// say hello
}

// Errors reach the client that asks, word for word; a panic does not.
func ExampleNamespace_OnAsk() {
	n, _ := node.New(node.Config{})
	math := n.Namespace("math")
	math.OnAsk("half", func(_ context.Context, _ *node.NSConn, m *node.Message) ([]byte, error) {
		if len(m.Body)%2 != 0 {
			return nil, fmt.Errorf("%d is odd", len(m.Body))
		}
		return m.Body[:len(m.Body)/2], nil
	})
	math.OnAsk("crash", func(context.Context, *node.NSConn, *node.Message) ([]byte, error) { panic("secret") })
	defer exampleServe(n)()

	client := exampleDial(n.Addr())
	client.connect("math")
	fmt.Println(client.ask("math", "", "half", "xxxx"))
	fmt.Println(client.ask("math", "", "half", "xxx"))
	fmt.Println(client.ask("math", "", "crash", ""))
	fmt.Println(client.ask("math", "", "unheard of", ""))
	// Output:
	// xx
	// (3 is odd)
	// (internal error)
	// (unhandled event)
}

// A handler for a type instead of bytes.
func ExampleTypedAsk() {
	type Order struct{ Item string }
	type Receipt struct{ Number int }

	n, _ := node.New(node.Config{})
	shop := n.Namespace("shop")
	node.TypedAsk(shop, "order", codec.JSON{}, func(_ context.Context, _ *node.NSConn, o Order) (Receipt, error) {
		return Receipt{Number: len(o.Item)}, nil
	})
	defer exampleServe(n)()

	client := exampleDial(n.Addr())
	client.connect("shop")
	fmt.Println(client.ask("shop", "", "order", `{"Item":"lamp"}`))
	fmt.Println(client.ask("shop", "", "order", `lamp`))
	// Output:
	// {"Number":4}
	// (bad body of "order": invalid character 'l' looking for beginning of value)
}

// What is relayed can be changed or refused on its way.
func ExampleNamespace_OnRelay() {
	n, _ := node.New(node.Config{})
	chat := n.Namespace("chat").Configure(node.NamespaceOptions{Relay: true})
	chat.OnRelay("say", func(_ context.Context, _ *node.NSConn, m *node.Message) error {
		if strings.Contains(string(m.Body), "damn") {
			return errors.New("mind your language")
		}
		m.Body = []byte(strings.TrimSpace(string(m.Body)))
		return nil
	})
	defer exampleServe(n)()

	ann, bob := exampleDial(n.Addr()), exampleDial(n.Addr())
	for _, client := range []*exampleClient{ann, bob} {
		client.connect("chat")
		client.join("chat", "lobby")
	}
	ann.emit("chat", "lobby", "say", "damn")
	ann.emit("chat", "lobby", "say", "  hello ")
	fmt.Println(bob.next())
	// Output: say hello
}

// The server asks its client, also from inside a handler.
func ExampleNSConn_Ask() {
	n, _ := node.New(node.Config{})
	door := n.Namespace("door")
	door.OnAsk("open", func(ctx context.Context, c *node.NSConn, _ *node.Message) ([]byte, error) {
		password, err := c.Ask(ctx, "password?", nil)
		if err != nil {
			return nil, err
		}
		return append([]byte("come in, "), password.Body...), nil
	})
	defer exampleServe(n)()

	client := exampleDial(n.Addr())
	client.connect("door")
	client.send("$open;door;;open;0;0;")
	asked := client.receive()
	fmt.Println(asked[3])
	client.send(asked[0] + ";door;;password?;0;0;friend")
	fmt.Println(client.next())
	// Output:
	// password?
	// open come in, friend
}

// Who may connect is decided before the WebSocket is opened.
func ExampleNode_OnAccept() {
	type user struct{}
	n, _ := node.New(node.Config{})
	n.OnAccept(func(_ context.Context, a *node.Accept) error {
		name := a.Request.URL.Query().Get("user")
		if name == "" {
			return node.Refuse(http.StatusUnauthorized, "log in first")
		}
		a.Set(user{}, name)
		return nil
	})
	ended := make(chan any)
	n.OnClosed(func(_ context.Context, c *node.Conn, _ node.Closed) { ended <- c.Value(user{}) })
	defer exampleServe(n)()

	response, err := http.DefaultClient.Do(upgradeTo("http://" + n.Addr().String() + "/ws"))
	if err != nil {
		log.Fatal(err)
	}
	_ = response.Body.Close()
	fmt.Println(response.Status)

	response, err = http.DefaultClient.Do(upgradeTo("http://" + n.Addr().String() + "/ws?user=ann"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status)
	_ = response.Body.Close()
	fmt.Println(<-ended, "has gone")
	// Output:
	// 401 Unauthorized
	// 101 Switching Protocols
	// ann has gone
}

func upgradeTo(url string) *http.Request {
	r, _ := http.NewRequest(http.MethodGet, url, nil)
	r.Header = http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	return r
}

// A message for everybody in a room but one connection, from outside any handler.
func ExampleNode_Emit() {
	n, _ := node.New(node.Config{})
	joined := make(chan *node.Room, 2)
	n.Namespace("news").OnJoined(func(_ context.Context, r *node.Room) { joined <- r })
	defer exampleServe(n)()

	ann, bob := exampleDial(n.Addr()), exampleDial(n.Addr())
	ann.connect("news")
	ann.join("news", "sports")
	first := <-joined
	bob.connect("news")
	bob.join("news", "sports")
	<-joined

	ctx := context.Background()
	m := node.Message{Namespace: "news", Room: "sports", Event: "goal", Body: []byte("1:0")}
	if err := n.Emit(ctx, m, first.NSConn().Conn().ID()); err != nil {
		log.Fatal(err)
	}
	if err := first.Emit("goal", []byte("for you alone")); err != nil {
		log.Fatal(err)
	}
	fmt.Println(bob.next())
	fmt.Println(ann.next())
	// Output:
	// goal 1:0
	// goal for you alone
}

// The server takes its client into a room, and out again. What it asks of a client
// waits until the client has done it; here that is another goroutine.
func ExampleNSConn_JoinRoom() {
	n, _ := node.New(node.Config{})
	moved := make(chan string)
	n.Namespace("game").OnConnected(func(ctx context.Context, c *node.NSConn) {
		room, err := c.JoinRoom(ctx, "table 4")
		if err != nil {
			moved <- err.Error()
			return
		}
		moved <- "sits at " + room.Name()
		moved <- fmt.Sprint("left, error: ", room.Leave(ctx))
	})
	defer exampleServe(n)()

	client := exampleDial(n.Addr())
	client.connect("game")
	client.obey() // what a client library does by itself
	fmt.Println(<-moved)
	client.obey()
	fmt.Println(<-moved)
	// Output:
	// sits at table 4
	// left, error: <nil>
}

// Everybody in a room is asked, on every node of the cluster.
func ExampleNode_AskEverybody() {
	n, _ := node.New(node.Config{})
	joined := make(chan *node.Room, 2)
	n.Namespace("poll").OnJoined(func(_ context.Context, r *node.Room) { joined <- r })
	defer exampleServe(n)()

	for _, vote := range []string{"yes", "no"} {
		client := exampleDial(n.Addr())
		client.connect("poll")
		client.join("poll", "council")
		<-joined
		go client.reply(vote)
	}
	all, err := n.AskEverybody(context.Background(), node.Message{Namespace: "poll", Room: "council", Event: "vote"})
	if err != nil {
		log.Fatal(err)
	}
	votes := make(map[string]int)
	for _, answer := range all.Answers {
		votes[string(answer.Body)]++
	}
	fmt.Println(votes, "nodes that did not answer:", len(all.Silent))
	// Output: map[no:1 yes:1] nodes that did not answer: 0
}

// All connections of this node.
func ExampleNode_Conns() {
	n, _ := node.New(node.Config{})
	n.Namespace("chat")
	defer exampleServe(n)()

	exampleDial(n.Addr()).connect("chat")
	exampleDial(n.Addr())
	inChat := 0
	for c := range n.Conns() {
		if c.Namespace("chat") != nil {
			inChat++
			c.Close(wire.CodePolicy, "this was an example")
		}
	}
	fmt.Println(inChat)
	// Output: 1
}

// A node as one of many handlers of a server of net/http.
func ExampleNode_ServeHTTP() {
	n, _ := node.New(node.Config{})
	n.Namespace("chat").OnAsk("ping", func(context.Context, *node.NSConn, *node.Message) ([]byte, error) {
		return []byte("pong"), nil
	})
	if err := n.Start(); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", n)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a page") })
	server := httptest.NewServer(mux) // or http.ListenAndServe(":8080", mux)

	client := exampleDial(server.Listener.Addr())
	client.connect("chat")
	fmt.Println(client.ask("chat", "", "ping", ""))

	// The connections are the node's: ending the server does not end them.
	server.Close()
	if err := n.Close(); err != nil { // or Shutdown, for a gentle end
		log.Fatal(err)
	}
	// Output: pong
}
