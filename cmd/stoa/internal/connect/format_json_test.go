package connect

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

// No byte of a peer controls the terminal.
func FuzzFormat(f *testing.F) {
	for _, seed := range []string{"", "lobby", "\x1b[2J", "\u009b2J", "\u202e", "a\nb", "\xff", `"`, "\u2028", "\U000e0001"} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, binary bool) {
		name := string(text)
		r := record{Type: recordMessage, Namespace: name, Room: name, Event: name, Binary: binary, body: text, Error: name, ID: name}
		for _, kind := range []recordType{
			recordMessage, recordAsk, recordNative, recordAnswer, recordConnected, recordLeft, recordState, recordStatus, recordError,
		} {
			r.Type = kind
			checkDrawn(t, textFormat{}.format(r))
		}
		line := formatJSON(r)
		checkDrawn(t, line)
		var read record
		if err := json.Unmarshal(line, &read); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		want := name
		if binary {
			want = base64.StdEncoding.EncodeToString(text)
		}
		if utf8.Valid(text) && read.Body != want {
			t.Errorf("body %q, want %q", read.Body, want)
		}
	})
}

func checkDrawn(t *testing.T, line []byte) {
	t.Helper()
	text, ended := strings.CutSuffix(string(line), "\n")
	if !ended || !cli.IsVisible(text) {
		t.Errorf("%q is not one line of visible characters", line)
	}
}

// Programs read the fields, so each one is documented.
func TestFieldsAreDocumented(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "command-line.md"))
	if err != nil {
		t.Fatal(err)
	}
	var wanted []string
	fields := reflect.TypeFor[record]()
	for i := range fields.NumField() {
		if name, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ","); name != "" {
			wanted = append(wanted, name)
		}
	}
	for _, kind := range []recordType{
		recordMessage, recordAsk, recordNative, recordAnswer, recordState, recordConnected, recordDisconnected,
		recordJoined, recordLeft, recordStatus, recordRooms, recordError,
	} {
		wanted = append(wanted, string(kind))
	}
	for _, name := range wanted {
		if !strings.Contains(string(content), "`"+name+"`") {
			t.Errorf("docs/command-line.md does not mention `%s`", name)
		}
	}
}
