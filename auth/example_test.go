package auth_test

import (
	"context"
	"log"
	"net/http"

	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/node"
)

// The code of docs/authentication.md.

func ExampleNewJWT() {
	n := newExampleNode()
	verifier, err := auth.NewJWT(auth.JWTConfig{
		JWKS:      auth.JWKS{URL: "https://login.example.com/.well-known/jwks.json"},
		Issuers:   []string{"https://login.example.com/"},
		Audiences: []string{"chat"},
		Required:  true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()
	n.OnAccept(verifier.Accept)
}

func ExampleJWT_Accept() {
	n := newExampleNode()
	verifier := &auth.JWT{}
	isSuspended := func(string) bool { return false }
	n.OnAccept(verifier.Accept)
	n.OnAccept(func(_ context.Context, a *node.Accept) error {
		if isSuspended(a.Identity.User) {
			return node.Refuse(http.StatusForbidden, "suspended")
		}
		return nil
	})
}

func ExampleLoadKeys() {
	n := newExampleNode()
	list, err := auth.LoadKeys("/etc/stoa/keys")
	if err != nil {
		log.Fatal(err)
	}
	keys, err := auth.NewKeys(list)
	if err != nil {
		log.Fatal(err)
	}
	n.OnAccept(keys.Accept) // before the handler of tokens
}

func newExampleNode() *node.Node {
	n, err := node.New(node.Config{})
	if err != nil {
		log.Fatal(err)
	}
	return n
}
