package clients_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/wire"
)

// sharedErrors are the errors of the clients themselves: the names in package
// client and in stoa-client.
var sharedErrors = []struct{ client, script, meaning string }{
	{"ErrClosed", "ErrClosed", "the connection is closed for good"},
	{"ErrDisconnected", "ErrDisconnected", "the connection was lost before the answer arrived"},
	{"ErrBufferFull", "ErrBufferFull", "no connection, and the buffer for emits is full"},
	{"ErrTooBig", "ErrTooBig", "the message is above the limit of the server, and was not sent"},
	{"ErrIdle", "ErrIdle", "the server is silent"},
	{"ErrGaveUp", `"gave_up"`, "too many attempts have failed in a row"},
	{"RefusedError", `"refused"`, "the server has refused the client with an HTTP status"},
	{"ErrUnconfirmed", `"unconfirmed"`, "a confirmed emit may have been published"},
	{"ErrNotPublished", `"not_published"`, "no copy of a confirmed emit was sent"},
	{"CloseError", `"closed"`, "the server has closed the connection with a close code"},
}

func source(parts ...string) string {
	text, err := os.ReadFile(filepath.Join(slices.Concat([]string{top}, parts)...))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// errorNames are the names of the errors with a text, by the text.
func errorNames(text, pattern string) map[string]string {
	names := make(map[string]string)
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		names[match[2]] = match[1]
	}
	return names
}

func goErrors() map[string]string {
	return errorNames(source("wire", "errors.go"), `(Err\w+)\s+= errors\.New\("([^"]+)"\)`)
}

func scriptErrors() map[string]string {
	return errorNames(source("js", "src", "errors.ts"), `export const (Err\w+) = define\("([^"]+)"\)`)
}

var finalCodes = regexp.MustCompile(`const final = \[([0-9, ]+)\]`)

// checkRules compares the tables of both clients: the errors, and the close
// codes after which they do not reconnect.
func checkRules(t *testing.T) {
	t.Helper()
	script, inGo := scriptErrors(), goErrors()
	for _, err := range wire.Errors() {
		if script[err.Error()] == "" || inGo[err.Error()] == "" {
			t.Errorf("%q is %q in js/src/errors.ts and %q in wire/errors.go, want a constant in both", err, script[err.Error()], inGo[err.Error()])
		}
	}
	for _, e := range sharedErrors {
		if !regexp.MustCompile(`\b` + e.client + `\b`).MatchString(source("client", "errors.go")) {
			t.Errorf("package client has no %s", e.client)
		}
		if found := source("js", "src", "errors.ts") + source("js", "src", "node.ts"); !strings.Contains(found, e.script) {
			t.Errorf("stoa-client has no %s", e.script)
		}
	}
	var want []string
	for _, info := range wire.Codes() {
		if !info.Retry {
			want = append(want, strconv.Itoa(int(info.Code)))
		}
	}
	match := finalCodes.FindStringSubmatch(source("js", "src", "reconnect.ts"))
	if match == nil || match[1] != strings.Join(want, ", ") {
		t.Errorf("the final close codes are %q in js/src/reconnect.ts, want %q", match, want)
	}
}

// renderRules writes the rules that both clients share.
func renderRules(page *bytes.Buffer) {
	page.WriteString("\n## Errors\n\nThe code of an error in TypeScript is its text with underscores.\n\n| text | package wire | TypeScript |\n|---|---|---|\n")
	script, inGo := scriptErrors(), goErrors()
	for _, err := range wire.Errors() {
		fmt.Fprintf(page, "| `%s` | `%s` | `%s` |\n", err, inGo[err.Error()], script[err.Error()])
	}
	page.WriteString("\n| meaning | package client | TypeScript: constant, or code in quotes |\n|---|---|---|\n")
	for _, e := range sharedErrors {
		fmt.Fprintf(page, "| %s | `%s` | `%s` |\n", e.meaning, e.client, e.script)
	}
	page.WriteString("\n## Final closes and refusals\n\nAfter the other close codes and statuses both clients try again.\n\n| | final |\n|---|---|\n")
	var codes []string
	for _, info := range wire.Codes() {
		if !info.Retry {
			codes = append(codes, fmt.Sprintf("%d %s", info.Code, info.Name))
		}
	}
	fmt.Fprintf(page, "| close codes | %s |\n", strings.Join(codes, ", "))
	fmt.Fprintf(page, "| tested HTTP statuses of the first dial | %s; not %s |\n", statuses(firstStatuses, true), statuses(firstStatuses, false))
	fmt.Fprintf(page, "| tested HTTP statuses after a loss | %s; not %s |\n", statuses(laterStatuses, true), statuses(laterStatuses, false))
	page.WriteString("| a refusal in place of the acknowledgement | yes |\n")
	page.WriteString("\n## Meaning\n\n`TestMeaning` in [test/clients](../test/clients/meaning_test.go) plays each of these scenes with both clients and compares results, states and handler calls with one table:\n\n")
	for _, s := range scenes() {
		fmt.Fprintf(page, "- %s\n", s.name)
	}
}

// statuses lists those that are final, or those that are not.
func statuses(table map[int]bool, final bool) string {
	var list []string
	for _, status := range slices.Sorted(maps.Keys(table)) {
		if table[status] == final {
			list = append(list, strconv.Itoa(status))
		}
	}
	return strings.Join(list, ", ")
}
