package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/stoa-io/stoa/examples/internal/run"
	"github.com/stoa-io/stoa/node"
)

// userKey is the key of the user's name among a connection's values.
type userKey struct{}

func user(c *node.NSConn) string { return c.Conn().Value(userKey{}).(string) }

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	if err := serve(run.Context(), *listen); err != nil {
		log.Fatal(err)
	}
}

// serve listens until ctx ends.
func serve(ctx context.Context, address string) error {
	sessions := newSessions()
	n, err := newNode(sessions)
	if err != nil {
		return err
	}
	// Start, not Serve: the listener belongs to net/http.
	if err := n.Start(); err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", sessions.login)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "a page of the program") })
	mux.Handle("/ws", n)
	server := &http.Server{Handler: logged(mux), ReadHeaderTimeout: 10 * time.Second}

	listener, err := net.Listen("tcp", address)
	if err != nil {
		return errors.Join(err, n.Close())
	}
	fmt.Printf("listening on http://%s/\n", listener.Addr())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	select {
	case err = <-served:
	case <-ctx.Done():
	}
	// net/http does not know the connections that the node has taken over, so
	// both have to be shut down.
	ctx, cancel := context.WithTimeout(context.Background(), run.Patience)
	defer cancel()
	return errors.Join(err, server.Shutdown(ctx), n.Shutdown(ctx))
}

// newNode makes a node with the namespace "chat", in which all messages carry
// the name of the cookie.
func newNode(sessions *sessions) (*node.Node, error) {
	n, err := node.New(node.Config{})
	if err != nil {
		return nil, err
	}
	// A refusal is an ordinary HTTP response: there is no WebSocket yet. A page
	// of another site cannot use the cookie, because Config.AllowOrigins allows
	// only the own host by default.
	n.OnAccept(func(_ context.Context, a *node.Accept) error {
		name, err := sessions.user(a.Request)
		if err != nil {
			return node.Refuse(http.StatusUnauthorized, "log in first")
		}
		a.Set(userKey{}, name)
		return nil
	})
	chat := n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms})
	chat.OnAsk("whoami", func(_ context.Context, r *node.AskRequest) error {
		r.Reply([]byte(user(r.NSConn)))
		return nil
	})
	// Relayed messages carry the name from the login, not one from the client.
	chat.OnRelay("say", func(_ context.Context, r *node.RelayRequest) error {
		r.Body = fmt.Appendf(nil, "%s: %s", user(r.NSConn), r.Body)
		return nil
	})
	return n, nil
}

// countingWriter counts the bytes of a response, as many middlewares do. It
// need not implement http.Hijacker: http.ResponseController, and so the node,
// needs only Unwrap.
type countingWriter struct {
	http.ResponseWriter
	bytes int
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.bytes += n
	return n, err
}

func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// logged is a middleware that logs every request. The node answers an upgrade
// on the socket, bypassing the writer, and then returns; the connection stays
// open in the node.
func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		counting := &countingWriter{ResponseWriter: w}
		next.ServeHTTP(counting, r)
		log.Printf("%s %q %d bytes", r.Method, r.URL.Path, counting.bytes)
	})
}
