package clients_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/codec"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

// typedScript asks typed handlers of a node, and is asked by it.
const typedScript = `
import { dial, reply } from "../../js/dist/esm/index.js";
const conn = await dial(process.argv[1], { default: {
  name: (ns, message) => reply("I am " + message.Body),
} });
const ns = await conn.connect("default");
const lines = [
  (await ns.ask("kick", "bob")).unmarshal(),
  (await ns.ask("kick", '"quoted"')).unmarshal(),
  (await ns.ask("greet", "zoë")).Body,
  (await ns.ask("find", undefined)).unmarshal().join(),
  (await ns.ask("find", { prefix: "a" })).unmarshal().join(),
  (await ns.ask("sum", [1, 2, 3])).unmarshal(),
];
console.log(lines.join("|"));
conn.close();
`

// A string of TypeScript is a string of the typed functions of Go, in both
// directions, and an undefined body is nil.
func TestTypedBodiesAcrossLanguages(t *testing.T) {
	n, err := node.New(node.Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	type filter struct {
		Prefix string `json:"prefix"`
	}
	json := codec.JSON{}
	asked := make(chan string, 1)
	ns := n.Namespace("default", node.NamespaceOptions{})
	node.OnAsk(ns, "kick", json, func(_ context.Context, _ *node.AskRequest, user string) (int, error) { return len(user), nil })
	node.OnAsk(ns, "greet", json, func(ctx context.Context, r *node.AskRequest, user string) (string, error) {
		name, err := node.Ask[string](ctx, r.NSConn, "name", json, user)
		asked <- name
		return "hello " + user, err
	})
	node.OnAsk(ns, "find", json, func(_ context.Context, _ *node.AskRequest, f *filter) ([]string, error) {
		if f == nil {
			return []string{"all"}, nil
		}
		return []string{f.Prefix + "1", f.Prefix + "2"}, nil
	})
	node.OnAsk(ns, "sum", json, func(_ context.Context, _ *node.AskRequest, numbers []int) (sum int, err error) {
		for _, number := range numbers {
			sum += number
		}
		return sum, nil
	})
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; !errors.Is(err, node.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	output, err := exec.CommandContext(ctx, "node", "--input-type=module", "-e", typedScript, fmt.Sprintf("ws://%s/ws", n.Addr())).CombinedOutput()
	if want := `3|8|hello zoë|all|a1,a2|6`; err != nil || strings.TrimSpace(string(output)) != want {
		t.Errorf("%s, %v; want %s", output, err, want)
	}
	if got := <-asked; got != "I am zoë" {
		t.Errorf("the client answers %q", got)
	}
}
