package main

import (
	"context"
	"flag"
	"log"

	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/examples/internal/run"
	"github.com/stoa-io/stoa/node"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	secret := flag.String("secret-file", "secret", "file with the secret that signs the tokens")
	flag.Parse()
	n, err := newNode(*secret)
	if err != nil {
		log.Fatal(err)
	}
	run.Serve(run.Context(), n, *listen, "/ws")
}

func newNode(secretFile string) (*node.Node, error) {
	verifier, err := auth.NewJWT(auth.JWTConfig{
		Keys:     []auth.VerificationKey{{SecretFile: secretFile}},
		Sources:  []auth.Source{auth.SourceHeader, auth.SourceNeffos, auth.CookieSource("token"), auth.QuerySource("token")},
		Required: true,
	})
	if err != nil {
		return nil, err
	}
	n, err := node.New(node.Config{})
	if err != nil {
		return nil, err
	}
	n.OnAccept(verifier.Accept)
	n.Namespace("default", node.NamespaceOptions{}).OnAsk("whoami", func(_ context.Context, r *node.AskRequest) error {
		r.Reply([]byte(r.NSConn.Conn().User()))
		return nil
	})
	return n, nil
}
