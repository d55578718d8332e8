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

// A server with one namespace. The members of a room talk to each other, and
// every client may ask the server for the time.
func Example() {
	n, err := node.New(node.Config{})
	if err != nil {
		log.Fatal(err)
	}
	chat := n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms})
	chat.OnJoin(func(_ context.Context, r *node.JoinRequest) error {
		if r.Room == "office" {
			return errors.New("staff only")
		}
		return nil
	})
	chat.OnAsk("time", func(_ context.Context, r *node.AskRequest) error {
		r.Reply([]byte("noon"))
		return nil
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

// The text of an error is the answer to an ask; that of a panic is not.
func ExampleNamespace_OnAsk() {
	n, _ := node.New(node.Config{})
	math := n.Namespace("math", node.NamespaceOptions{})
	math.OnAsk("half", func(_ context.Context, r *node.AskRequest) error {
		if len(r.Body)%2 != 0 {
			return fmt.Errorf("%d is odd", len(r.Body))
		}
		r.Reply(r.Body[:len(r.Body)/2])
		return nil
	})
	math.OnAsk("crash", func(context.Context, *node.AskRequest) error { panic("secret") })
	defer exampleServe(n)()

	client := exampleDial(n.Addr())
	client.connect("math")
	fmt.Println(client.ask("math", "", "half", "xxxx"))
	fmt.Println(client.ask("math", "", "half", "xxx"))
	fmt.Println(client.ask("math", "", "crash", ""))
	fmt.Println(client.ask("math", "", "double", "xx"))
	// Output:
	// xx
	// (3 is odd)
	// (internal error)
	// (unhandled event)
}

// A handler takes and returns values instead of bytes.
func ExampleOnAsk() {
	type Order struct{ Item string }
	type Receipt struct{ Number int }

	n, _ := node.New(node.Config{})
	shop := n.Namespace("shop", node.NamespaceOptions{})
	node.OnAsk(shop, "order", codec.JSON{}, func(_ context.Context, _ *node.AskRequest, o Order) (Receipt, error) {
		return Receipt{Number: len(o.Item)}, nil
	})
	defer exampleServe(n)()

	client := exampleDial(n.Addr())
	client.connect("shop")
	fmt.Println(client.ask("shop", "", "order", `{"Item":"lamp"}`))
	fmt.Println(client.ask("shop", "", "order", `{`))
	// Output:
	// {"Number":4}
	// (bad body of "order": unexpected end of JSON input)
}

// A relay handler may change a message or refuse it.
func ExampleNamespace_OnRelay() {
	n, _ := node.New(node.Config{})
	chat := n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms})
	chat.OnRelay("say", func(_ context.Context, r *node.RelayRequest) error {
		if strings.Contains(string(r.Body), "damn") {
			return errors.New("mind your language")
		}
		r.Body = []byte(strings.TrimSpace(string(r.Body)))
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

// A join handler sees the body of the request and answers with one.
func ExampleNamespace_OnJoin() {
	n, _ := node.New(node.Config{})
	chat := n.Namespace("chat", node.NamespaceOptions{})
	chat.OnJoin(func(_ context.Context, r *node.JoinRequest) error {
		if r.Room == "office" && string(r.Body) != "badge 7" {
			return errors.New("show your badge")
		}
		r.Reply([]byte("the topic is lunch"))
		return nil
	})
	defer exampleServe(n)()

	client := exampleDial(n.Addr())
	client.connect("chat")
	fmt.Println(client.ask("chat", "office", wire.EventRoomJoin, ""))
	fmt.Println(client.ask("chat", "office", wire.EventRoomJoin, "badge 7"))
	// Output:
	// (show your badge)
	// the topic is lunch
}

// The server asks a client, here from a handler of that very client.
func ExampleNSConn_Ask() {
	n, _ := node.New(node.Config{})
	door := n.Namespace("door", node.NamespaceOptions{})
	door.OnAsk("open", func(ctx context.Context, r *node.AskRequest) error {
		password, err := r.NSConn.Ask(ctx, "password?", nil)
		if err != nil {
			return err
		}
		r.Reply(append([]byte("come in, "), password.Body...))
		return nil
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

// An accept handler sees the HTTP request. It refuses it, or stores a value for
// the connection.
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
	closed := make(chan string)
	n.OnClosed(func(_ context.Context, e *node.ClosedEvent) {
		closed <- fmt.Sprintf("%s: closed by the %s", e.Conn.Value(user{}), e.By)
	})
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
	fmt.Println(<-closed)
	// Output:
	// 401 Unauthorized
	// 101 Switching Protocols
	// ann: closed by the peer
}

func upgradeTo(url string) *http.Request {
	r, _ := http.NewRequest(http.MethodGet, url, nil)
	r.Header = http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	return r
}

// The server emits to all members of a room but one, and to that one alone.
func ExampleNode_Emit() {
	n, _ := node.New(node.Config{})
	joined := make(chan *node.Room, 2)
	news := n.Namespace("news", node.NamespaceOptions{})
	news.OnJoined(func(_ context.Context, e *node.JoinedEvent) { joined <- e.Room })
	defer exampleServe(n)()

	ann, bob := exampleDial(n.Addr()), exampleDial(n.Addr())
	ann.connect("news")
	ann.join("news", "sports")
	room := <-joined // of ann
	bob.connect("news")
	bob.join("news", "sports")
	<-joined

	m := node.Message{Namespace: "news", Room: "sports", Event: "goal", Body: []byte("1:0")}
	butAnn := node.EmitOptions{Except: []string{room.NSConn().Conn().ID()}}
	if err := n.Emit(context.Background(), m, butAnn); err != nil {
		log.Fatal(err)
	}
	if err := room.EmitToClient("goal", []byte("for ann alone")); err != nil {
		log.Fatal(err)
	}
	fmt.Println(bob.next())
	fmt.Println(ann.next())
	// Output:
	// goal 1:0
	// goal for ann alone
}

// The server asks its client to join a room and to leave it. Both calls wait
// for the client; in this example they wait in a handler.
func ExampleNSConn_JoinRoom() {
	n, _ := node.New(node.Config{})
	moved := make(chan string)
	game := n.Namespace("game", node.NamespaceOptions{})
	game.OnConnected(func(ctx context.Context, e *node.ConnectedEvent) {
		room, err := e.NSConn.JoinRoom(ctx, "table 4")
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
	client.accept() // as a client library does automatically
	fmt.Println(<-moved)
	client.accept()
	fmt.Println(<-moved)
	// Output:
	// sits at table 4
	// left, error: <nil>
}

// The server asks all members of a room, on every node of the cluster.
func ExampleNode_AskAll() {
	n, _ := node.New(node.Config{})
	joined := make(chan *node.Room, 2)
	poll := n.Namespace("poll", node.NamespaceOptions{})
	poll.OnJoined(func(_ context.Context, e *node.JoinedEvent) { joined <- e.Room })
	defer exampleServe(n)()

	for _, vote := range []string{"yes", "no"} {
		client := exampleDial(n.Addr())
		client.connect("poll")
		client.join("poll", "council")
		<-joined
		go client.reply(vote)
	}
	m := node.Message{Namespace: "poll", Room: "council", Event: "vote"}
	all, err := n.AskAll(context.Background(), m)
	if err != nil {
		log.Fatal(err)
	}
	votes := make(map[string]int)
	for _, answer := range all.Answers {
		votes[string(answer.Body)]++
	}
	fmt.Println(votes, "nodes without an answer:", len(all.Missing))
	// Output: map[no:1 yes:1] nodes without an answer: 0
}

// The server closes all connections of this node that are in a namespace.
func ExampleNode_Conns() {
	n, _ := node.New(node.Config{})
	n.Namespace("chat", node.NamespaceOptions{})
	defer exampleServe(n)()

	exampleDial(n.Addr()).connect("chat")
	exampleDial(n.Addr())
	inChat := 0
	for c := range n.Conns() {
		if c.Namespace("chat") != nil {
			inChat++
			_ = c.Close(wire.CodePolicy, "this was an example")
		}
	}
	fmt.Println(inChat)
	// Output: 1
}

// A node is one of the handlers of a net/http server.
func ExampleNode_ServeHTTP() {
	n, _ := node.New(node.Config{})
	chat := n.Namespace("chat", node.NamespaceOptions{})
	chat.OnAsk("ping", func(_ context.Context, r *node.AskRequest) error {
		r.Reply([]byte("pong"))
		return nil
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

	// The connections belong to the node; closing the server does not close
	// them.
	server.Close()
	if err := n.Close(); err != nil { // or Shutdown, which sends close frames
		log.Fatal(err)
	}
	// Output: pong
}
