package clients_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The Go code of the pages about rooms is that of examples, which compile and
// run.
func TestPagesShowExamples(t *testing.T) {
	var examples strings.Builder
	for _, path := range []string{"client/example_test.go", "node/example_history_test.go"} {
		source, err := os.ReadFile(filepath.Join(top, path))
		if err != nil {
			t.Fatal(err)
		}
		examples.WriteString(strings.ReplaceAll(string(source), "\n\t", "\n"))
	}
	block := regexp.MustCompile("(?s)\n```go\n(.*?)```")
	for name, section := range map[string]string{"history.md": "", "presence.md": "", "clients.md": "The history of rooms"} {
		page, err := os.ReadFile(filepath.Join(top, "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		text := string(page)
		if section != "" {
			_, text, _ = strings.Cut(text, "\n## "+section+"\n")
			text, _, _ = strings.Cut(text, "\n## ")
		}
		blocks := block.FindAllStringSubmatch(text, -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no Go code", name)
		}
		for _, match := range blocks {
			if !strings.Contains(examples.String(), "\n"+match[1]) {
				t.Errorf("code of %s is in no example:\n%s", name, match[1])
			}
		}
	}
}
