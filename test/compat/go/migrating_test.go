package compat_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The page's snippets are bodies of functions that have these parameters.
const (
	neffosParameters = "ctx context.Context, id string, server *neffos.Server, nsConn *neffos.NSConn, msg neffos.Message, events neffos.Events"
	stoaParameters   = "ctx context.Context, id string, n *node.Node, ns *node.Namespace, c *node.NSConn"

	migratingHead = `package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"time"

	"github.com/kataras/neffos"
	"github.com/kataras/neffos/gobwas"
	"github.com/kataras/neffos/gorilla"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/codec"
	"github.com/stoa-io/stoa/node"
)

type (
	Order   struct{ Amount int }
	Receipt struct{ Amount int }
)

var (
	_ = errors.New
	_ = log.Fatal
	_ = http.Handle
	_ = time.Second
	_ = neffos.New
	_ = gobwas.DefaultUpgrader
	_ = gorilla.DefaultUpgrader
	_ = redisbroker.New
	_ = codec.JSON{}
	_ = node.New
)

func main() {}
`
)

// TestMigratingPageCompiles compiles all Go code in
// docs/migrating-from-neffos.md. Each piece begins with the comment "neffos" or
// "Stoa".
func TestMigratingPageCompiles(t *testing.T) {
	const path = "../../../docs/migrating-from-neffos.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var source bytes.Buffer
	source.WriteString(migratingHead)
	count := map[string]int{}
	lines := strings.Split(string(page), "\n")
	for i := 0; i < len(lines); i++ {
		if lines[i] != "```go" {
			continue
		}
		end := i + 1
		for end < len(lines) && lines[end] != "```" {
			end++
		}
		if end == len(lines) || end < i+2 {
			t.Fatalf("line %d: the code is empty or has no end", i+1)
		}
		whose := strings.TrimPrefix(lines[i+1], "// ")
		parameters := map[string]string{"neffos": neffosParameters, "Stoa": stoaParameters}[whose]
		if parameters == "" {
			t.Fatalf("line %d: the code begins with %q, want // neffos or // Stoa", i+2, lines[i+1])
		}
		count[whose]++
		// The compiler's complaints name the page and its line.
		fmt.Fprintf(&source, "\nfunc at%d(%s) {\n{\n//line migrating-from-neffos.md:%d\n%s\n}\n}\n",
			i+2, parameters, i+2, strings.Join(lines[i+1:end], "\n"))
		i = end
	}
	if count["neffos"] < 5 || count["Stoa"] < count["neffos"] {
		t.Errorf("found %v pieces of code, want at least 5 of neffos and as many of Stoa", count)
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, source.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command("go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("the page does not compile: %v\n%s", err, output)
	}
}
