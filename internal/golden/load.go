package golden

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// groups are the files with conversations, in the order of protocol.md.
var groups = []string{"ack", "ns", "room", "ev", "native", "ws", "http", "cs", "go"}

// Load returns all recorded conversations, group by group. It works from the
// tests of every package of this module and fails tb if a file is missing or
// cannot be read.
func Load(tb testing.TB) []Conversation {
	tb.Helper()
	var all []Conversation
	for _, group := range groups {
		var file struct {
			Group         string         `json:"group"`
			Conversations []Conversation `json:"conversations"`
		}
		read(tb, group+".json", &file)
		for _, conversation := range file.Conversations {
			conversation.Group = file.Group
			all = append(all, conversation)
		}
	}
	return all
}

// Profile is what the recorded server was configured to do, in words.
type Profile struct {
	Note string `json:"note"`
	// Endpoints are keyed by path.
	Endpoints map[string]string `json:"endpoints"`
	// Namespaces are keyed by namespace, then by event.
	Namespaces map[string]map[string]string `json:"namespaces"`
}

// LoadProfile returns the profile of the recorded server.
func LoadProfile(tb testing.TB) Profile {
	tb.Helper()
	var profile Profile
	read(tb, "profile.json", &profile)
	return profile
}

func read(tb testing.TB, name string, into any) {
	tb.Helper()
	path := filepath.Join(folder(tb), name)
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatalf("read golden file: %v", err)
	}
	if err := decode(text, into); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			tb.Fatalf("golden file %s, byte %d: %v", name, syntax.Offset, err)
		}
		tb.Fatalf("golden file %s: %v", name, err)
	}
}

// folder finds the golden files from the working directory upwards: go test
// runs every test in the folder of its package. The path that the compiler
// records would not do, -trimpath removes it.
func folder(tb testing.TB) string {
	tb.Helper()
	start, err := os.Getwd()
	if err != nil {
		tb.Fatalf("working directory: %v", err)
	}
	for current := start; ; {
		candidate := filepath.Join(current, "wire", "testdata", "golden")
		if info, err := os.Stat(candidate); err == nil && info.IsDir() {
			return candidate
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			tb.Fatalf("look for golden files: %v", err)
		}
		parent := filepath.Dir(current)
		if parent == current {
			tb.Fatalf("no wire/testdata/golden in %s or above it", start)
		}
		current = parent
	}
}
