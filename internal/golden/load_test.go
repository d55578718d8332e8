package golden_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/golden"
)

const recorded = 145

func TestLoad(t *testing.T) {
	conversations := golden.Load(t)
	if len(conversations) != recorded {
		t.Errorf("loaded %d conversations, want %d: is a group missing?", len(conversations), recorded)
	}
	seen := make(map[string]bool)
	for _, conversation := range conversations {
		if conversation.ID == "" || conversation.Group == "" || seen[conversation.ID] {
			t.Errorf("conversation %q of group %q: want a group and an ID of its own", conversation.ID, conversation.Group)
		}
		seen[conversation.ID] = true
		checkFrames(t, conversation)
	}
}

func checkFrames(t *testing.T, conversation golden.Conversation) {
	t.Helper()
	names := make(map[string]bool)
	for _, connection := range conversation.Connections {
		names[connection.Name] = true
	}
	for i, frame := range conversation.Frames {
		if !names[frame.Conn] {
			t.Errorf("%s frame %d: connection %q is not listed", conversation.ID, i, frame.Conn)
		}
		if frame.From != golden.Client && frame.From != golden.Server {
			t.Errorf("%s frame %d: from %q, want client or server", conversation.ID, i, frame.From)
		}
	}
	for _, placeholder := range conversation.Placeholders {
		found := false
		for _, frame := range conversation.Frames {
			found = found || strings.Contains(string(frame.Payload), placeholder.Value)
		}
		if !found {
			t.Errorf("%s: no frame contains placeholder %s, %q", conversation.ID, placeholder.Name, placeholder.Value)
		}
	}
}

func TestPayloads(t *testing.T) {
	tests := map[string]struct {
		text string
		want string
	}{
		"text":       {`{"op":"text","data":"a;b"}`, "a;b"},
		"base64":     {`{"op":"binary","base64":"AP8="}`, "\x00\xff"},
		"repeated":   {`{"op":"text","data":"h;","repeat":{"text":"ab","times":3,"sha256":""}}`, "h;ababab"},
		"no payload": {`{"op":"tcp-fin"}`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var frame golden.Frame
			if err := json.Unmarshal([]byte(test.text), &frame); err != nil {
				t.Fatal(err)
			}
			if string(frame.Payload) != test.want {
				t.Errorf("payload %q, want %q", frame.Payload, test.want)
			}
		})
	}
}

func TestLongBodyHash(t *testing.T) {
	const want = "858a6d23cad4d2602e49b8fe25f50b1584a5322c928eb73a48972d3855b6cb47"
	for _, conversation := range golden.Load(t) {
		if conversation.ID != "ev-body-60k" {
			continue
		}
		for _, frame := range conversation.Frames {
			if len(frame.Payload) < 60000 {
				continue
			}
			sum := sha256.Sum256(frame.Payload[len(frame.Payload)-60000:])
			if got := hex.EncodeToString(sum[:]); got != want {
				t.Errorf("body from the %s has hash %s, want %s", frame.From, got, want)
			}
		}
		return
	}
	t.Error("conversation ev-body-60k is missing")
}

func TestLoadProfile(t *testing.T) {
	profile := golden.LoadProfile(t)
	for _, conversation := range golden.Load(t) {
		if conversation.Server != "neffos" {
			continue
		}
		path, _, _ := strings.Cut(conversation.Path, "?")
		if profile.Endpoints[path] == "" {
			t.Errorf("%s: the profile does not say what %q does", conversation.ID, path)
		}
	}
}

// Every file belongs to a group that Load reads.
func TestNoStrayFiles(t *testing.T) {
	files, err := filepath.Glob("../../wire/testdata/golden/*.json")
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string]bool{"profile": true}
	for _, conversation := range golden.Load(t) {
		groups[conversation.Group] = true
	}
	for _, file := range files {
		if group := strings.TrimSuffix(filepath.Base(file), ".json"); !groups[group] {
			t.Errorf("%s is not loaded", file)
		}
	}
	if _, err := os.Stat("../../wire/testdata/golden/README.md"); err != nil {
		t.Errorf("the format is not described: %v", err)
	}
}
