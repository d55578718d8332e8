package configcmd

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
	"github.com/stoa-io/stoa/config"
)

// schemaKey is a part of the JSON Schema: a section, or a key with a value.
type schemaKey struct {
	Properties map[string]schemaKey `json:"properties"`
	Others     json.RawMessage      `json:"additionalProperties"`
}

// limitKeys matches the keys that are limits.
var limitKeys = regexp.MustCompile(`^(limits\..*|timeouts\..*|drain\.rate|` +
	`namespaces\.NAME\.(slow_consumer|max_message|members_per_room|rooms\.max_length))$`)

// leaves returns the paths of all keys with values. NAME stands for any name.
func (k *schemaKey) leaves(path string) []string {
	var all []string
	for name, child := range k.Properties {
		all = append(all, child.leaves(strings.TrimPrefix(path+"."+name, "."))...)
	}
	var others schemaKey
	if json.Unmarshal(k.Others, &others) == nil && others.Properties != nil {
		all = append(all, others.leaves(path+".NAME")...)
	}
	if len(all) == 0 {
		return []string{path}
	}
	return all
}

// Every limit of the file is in the first column of a table of docs/limits.md,
// and every key there exists.
func TestKeysOfLimitsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for row := range strings.Lines(string(page)) {
		columns := strings.Split(row, " | ")
		if len(columns) != 5 {
			continue
		}
		for _, name := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(columns[0], -1) {
			documented[name[1]] = true
		}
	}
	var text bytes.Buffer
	if err := config.WriteSchema(&text); err != nil {
		t.Fatal(err)
	}
	var schema schemaKey
	if err := json.Unmarshal(text.Bytes(), &schema); err != nil {
		t.Fatal(err)
	}
	limits := slices.DeleteFunc(schema.leaves(""), func(path string) bool { return !limitKeys.MatchString(path) })
	if len(limits) < 40 {
		t.Errorf("%d limits, want at least 40: %v", len(limits), limits)
	}
	for _, path := range limits {
		if !documented[path] {
			t.Errorf("%s is not in docs/limits.md", path)
		}
		delete(documented, path)
	}
	for _, path := range slices.Sorted(maps.Keys(documented)) {
		t.Errorf("docs/limits.md has the key %s, which does not exist", path)
	}
}

// The examples in YAML of these pages pass "stoa config check".
func TestExamplesOfPages(t *testing.T) {
	for _, name := range []string{"limits.md", "users.md"} {
		page, err := os.ReadFile("../../../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(page), -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, block := range blocks {
			if code, _, stderr := run(t, "check", clitest.WriteConfig(t, block[1])); code != 0 {
				t.Errorf("%s: code %d, %s", name, code, stderr)
			}
		}
	}
}
