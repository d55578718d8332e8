package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The parts of a configuration on the pages about rooms are valid, and set what
// the page is about.
func TestPagesAboutRooms(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for name, isSet := range map[string]func(*Namespace) bool{
		"history.md":  func(n *Namespace) bool { return n.History.Messages > 0 },
		"presence.md": func(n *Namespace) bool { return n.Presence == "roster" },
	} {
		text, err := os.ReadFile(filepath.Join("..", "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		blocks := block.FindAllStringSubmatch(string(text), -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no configuration", name)
		}
		for _, match := range blocks {
			content := match[1]
			if strings.HasPrefix(content, " ") { // keys of a namespace
				content = "namespaces:\n  default:\n" + content
			}
			c, err := Load(Sources{File: name, Content: []byte(content)})
			if err != nil {
				t.Errorf("%v in\n%s", err, content)
				continue
			}
			if n := c.Namespaces["default"]; !isSet(&n) {
				t.Errorf("the namespace is %+v with\n%s", n, content)
			}
		}
	}
}
