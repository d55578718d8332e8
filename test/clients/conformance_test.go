package clients_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/node"
)

var update = flag.Bool("update", false, "write docs/conformance.md")

// cell is one name in one library: its spelling there, and a test that uses it,
// by its file and by its name or title. A cell without a test is a name that
// the library lacks; spelled is the reason.
type cell struct{ spelled, file, test string }

// row is one name of the object model.
type row struct {
	of, name               string
	script, client, server cell
}

const (
	names    = "js/test-integration/names.test.js"
	outline  = "client/outline_test.go"
	acting   = "node/acting_test.go"
	whole    = "TestOutlineAgainstANode"
	refused  = "TestErrorsOfTheServerComeThrough"
	inside   = "TestActingInHandlers"
	ends     = "TestHandlersEndTheirOwn"
	handles  = "node/closed_conn_test.go"
	afterEnd = "TestAfterTheEnd"
	messages = "writes and asks whole messages"
)

// rows is the object model, in the order of its outline.
var rows = []row{
	{"Conn", "ID", cell{"ID", names, "has an ID that is its own"}, cell{"ID", outline, whole}, cell{"ID", handles, afterEnd}},
	{"Conn", "write", cell{"write", names, messages}, cell{"Write", outline, whole}, cell{"Write", acting, inside}},
	{"Conn", "ask", cell{"ask", names, messages}, cell{"Ask", outline, whole}, cell{"Ask", acting, inside}},
	{"Conn", "close", cell{"close", names, "closes"}, cell{"Close", outline, whole}, cell{"Close", acting, ends}},
	{"Conn", "isClosed", cell{"isClosed", names, "closes"}, cell{"IsClosed", outline, whole}, cell{"IsClosed", acting, inside}},
	{"Conn", "connect", cell{"connect", names, "connects to a namespace, once"}, cell{"Connect", outline, whole}, cell{"Connect", acting, inside}},
	{
		"Conn", "waitServerConnect",
		cell{"waitServerConnect", names, "waits for a connect that the server starts"},
		cell{"WaitServerConnect", "client/handlers_test.go", "TestServerDoesItAll"},
		cell{spelled: "the server is the one that connects"},
	},
	{"Conn", "namespace", cell{"namespace", names, "connects to a namespace, once"}, cell{"Namespace", outline, whole}, cell{"Namespace", acting, inside}},
	{"Conn", "disconnectAll", cell{"disconnectAll", names, "disconnects from a namespace, and from all"}, cell{"DisconnectAll", outline, whole}, cell{"DisconnectAll", acting, ends}},
	{"NSConn", "emit", cell{"emit", names, "emits and asks in a namespace"}, cell{"Emit", outline, refused}, cell{"Emit", acting, inside}},
	{"NSConn", "ask", cell{"ask", names, "emits and asks in a namespace"}, cell{"Ask", outline, whole}, cell{"Ask", acting, inside}},
	{"NSConn", "disconnect", cell{"disconnect", names, "disconnects from a namespace, and from all"}, cell{"Disconnect", outline, whole}, cell{"Disconnect", acting, ends}},
	{"NSConn", "joinRoom", cell{"joinRoom", names, "joins rooms and talks to the others in them"}, cell{"JoinRoom", outline, whole}, cell{"JoinRoom", acting, inside}},
	{"NSConn", "room", cell{"room", names, "joins rooms and talks to the others in them"}, cell{"Room", outline, whole}, cell{"Room", acting, ends}},
	{"NSConn", "rooms", cell{"rooms", names, "joins rooms and talks to the others in them"}, cell{"Rooms", outline, whole}, cell{"Rooms", acting, ends}},
	{"NSConn", "leaveAll", cell{"leaveAll", names, "leaves one room, and all"}, cell{"LeaveAll", outline, whole}, cell{"LeaveAll", acting, ends}},
	{"Room", "emit", cell{"emit", names, "joins rooms and talks to the others in them"}, cell{"Emit", outline, whole}, cell{"EmitToClient", acting, inside}},
	{"Room", "leave", cell{"leave", names, "leaves one room, and all"}, cell{"Leave", outline, whole}, cell{"Leave", acting, ends}},
	{"Message", "Namespace", cell{"Namespace", names, messages}, cell{"Namespace", outline, whole}, cell{"Namespace", acting, inside}},
	{"Message", "Room", cell{"Room", names, messages}, cell{"Room", outline, whole}, cell{"Room", acting, inside}},
	{"Message", "Event", cell{"Event", names, messages}, cell{"Event", outline, whole}, cell{"Event", acting, inside}},
	{"Message", "Body", cell{"Body", names, messages}, cell{"Body", outline, whole}, cell{"Body", acting, inside}},
}

// clientTypes and serverTypes are the types of the model in the Go packages.
var (
	clientTypes = map[string]reflect.Type{
		"Conn": reflect.TypeFor[*client.Conn](), "NSConn": reflect.TypeFor[*client.NSConn](),
		"Room": reflect.TypeFor[*client.Room](), "Message": reflect.TypeFor[client.Message](),
	}
	serverTypes = map[string]reflect.Type{
		"Conn": reflect.TypeFor[*node.Conn](), "NSConn": reflect.TypeFor[*node.NSConn](),
		"Room": reflect.TypeFor[*node.Room](), "Message": reflect.TypeFor[node.Message](),
	}
)

// TestConformance compares docs/conformance.md with the table above, and the
// table with the libraries: each name exists, and so does its test, which uses
// it.
func TestConformance(t *testing.T) {
	for _, r := range rows {
		what := r.of + "." + r.name
		if err := r.script.inTypeScript(r.of); err != nil {
			t.Errorf("%s, TypeScript: %v", what, err)
		}
		if err := r.client.inGo(clientTypes[r.of]); err != nil {
			t.Errorf("%s, package client: %v", what, err)
		}
		if err := r.server.inGo(serverTypes[r.of]); err != nil {
			t.Errorf("%s, package node: %v", what, err)
		}
	}
	checkRules(t)
	path := filepath.Join(top, "docs", "conformance.md")
	page := render()
	if *update {
		if err := os.WriteFile(path, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if committed, err := os.ReadFile(path); err != nil || !bytes.Equal(committed, page) {
		t.Errorf("docs/conformance.md is out of date (%v): run make docs-conformance", err)
	}
}

const preface = `# The object model in three libraries

This page lists every name of the object model, its spelling in each library, and a test that uses it.
` + "`make docs-conformance`" + ` generates the page with ` + "`TestConformance` in [test/clients](../test/clients/conformance_test.go)" + `.
The test fails if a library lacks a name, if a listed test does not exist or does not use the name, and if this page is out of date.
The TypeScript tests run twice, against a Stoa node and against a neffos server.

`

// render returns the page.
func render() []byte {
	page := bytes.NewBufferString(preface)
	page.WriteString("| name | TypeScript client | Go client | Go server (package node) |\n|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(page, "| %s.%s | %s | %s | %s |\n", r.of, r.name, r.script, r.client, r.server)
	}
	renderRules(page)
	return page.Bytes()
}

// String is the cell as Markdown.
func (c cell) String() string {
	if c.file == "" {
		return "– (" + c.spelled + ")"
	}
	return fmt.Sprintf("`%s`: [%s](../%s)", c.spelled, c.test, c.file)
}
