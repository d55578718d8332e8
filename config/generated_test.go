package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the reference in docs/configuration.md and "+SchemaFile)

const (
	page       = "../docs/configuration.md"
	schemaPath = "../deploy/" + SchemaFile
	begin      = "<!-- The rest of this page is generated: make docs-configuration -->\n"
)

// A node with the file of the defaults is the same as one without a file.
func TestDefaultFileChangesNothing(t *testing.T) {
	var file bytes.Buffer
	if err := WriteDefault(&file); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Sources{File: "default.yaml", Content: file.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(c.Node(), want.Node()) {
		t.Errorf("the node's are %+v, want %+v", c.Node(), want.Node())
	}
	c.origins = Default().origins
	if want := Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	everyLeaf(root, func(k *key) {
		line := regexp.MustCompile(`(?m)^ *# +` + k.name + `: `)
		if k.standard == "" && !line.Match(file.Bytes()) {
			t.Errorf("%s is not there", k.path)
		}
	})
}

// The examples in the comments of that file are accepted, too.
func TestDefaultFileHasExamples(t *testing.T) {
	everyLeaf(root, func(k *key) {
		if k.standard != "" {
			return
		}
		if _, err := k.parseText(k.example); err != nil || k.example == "" {
			t.Errorf("%s: the example %q: %v", k.path, k.example, err)
		}
	})
}

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	var text bytes.Buffer
	if err := WriteSchema(&text); err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(&text)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(SchemaFile, document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile(SchemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// validate reports whether the schema accepts a file in YAML.
func validate(t testing.TB, compiled *jsonschema.Schema, content string) error {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(content), &value); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return compiled.Validate(instance)
}

// The schema and the parser accept the same values of every key.
func TestSchemaAgreesWithTheParser(t *testing.T) {
	compiled := schema(t)
	values := []string{
		"true", "false", "off", "auto", "text", "0", "1", "64", "-1", "1.5", "100000", "64KiB", "0B", "64KB", "25s", "1h30m", "0s", "25",
		"200/s", "0/s", "0.5/s", "200/s burst 400", "64KiB/s", "64KiB/s burst 1MiB", "1/s burst", "1.2345/s", "debug", "json", "epoll", "stream", "~", "[]", "[rooms]", "[a, b]", "[1]", "{}", "{a: b}", "'64KiB'", "'64'", "010KiB", "1_000",
	}
	everyLeaf(root, func(k *key) {
		for _, value := range values {
			content := nest(k.path, value)
			parsed := parseFile("stoa.yaml", []byte(content))
			if err := validate(t, compiled, content); (err == nil) != (len(parsed.errors) == 0) {
				if bounded(k) && err == nil {
					continue // a pattern knows no bounds
				}
				t.Errorf("%s: the parser says %v, the schema %v", content, parsed.errors, err)
			}
		}
	})
	for _, content := range []string{"unknown: 1", "limits: {unknown: 1}", "namespaces: {a: {unknown: 1}}", "namespaces: {a: 1}", "limits: []"} {
		if validate(t, compiled, content) == nil {
			t.Errorf("the schema accepts %s", content)
		}
	}
}

func bounded(k *key) bool { return slices.Contains([]kind{size, duration, rate, meter}, k.kind) }

// The committed schema and the reference are those of the struct.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	var schemaText bytes.Buffer
	if err := WriteSchema(&schemaText); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	introduction, _, found := strings.Cut(string(text), begin)
	if !found {
		t.Fatalf("%s has no line %q", page, begin)
	}
	for path, want := range map[string]string{page: introduction + begin + reference(), schemaPath: schemaText.String()} {
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is old: run make docs-configuration (%v)", path, err)
		}
	}
}

// reference returns the tables of all keys in Markdown.
func reference() string {
	var out strings.Builder
	var single []*key
	for _, k := range root.keys {
		if k.leaf() {
			single = append(single, k)
		}
	}
	fmt.Fprintf(&out, "\n## Top level\n\n")
	table(&out, single)
	for _, k := range root.keys {
		if !k.leaf() {
			referenceSection(&out, k)
		}
	}
	return out.String()
}

func referenceSection(out *strings.Builder, k *key) {
	fmt.Fprintf(out, "\n## %s\n\n%s\n\n", strings.ReplaceAll(k.path, "*", "NAME"), k.doc)
	if k.kind == named {
		fmt.Fprintf(out, "Keys of `%s.NAME`:\n\n", k.path)
	}
	var leaves []*key
	for _, below := range k.keys {
		if below.leaf() {
			leaves = append(leaves, below)
		}
	}
	table(out, leaves)
	for _, below := range k.keys {
		if !below.leaf() {
			referenceSection(out, below)
		}
	}
}

func table(out *strings.Builder, keys []*key) {
	out.WriteString("| key | default | meaning |\n|---|---|---|\n")
	for _, k := range keys {
		standard := "none"
		if k.standard != "" {
			value, _ := k.parseText(k.standard)
			standard = "`" + k.yaml(value) + "`"
		}
		meaning := strings.ReplaceAll(k.comment(), "*", `\*`)
		if k.flag != "" {
			meaning += " Flag: `--" + k.flag + "`."
		}
		if k.variable != "" {
			meaning += " Variable: `" + k.variable + "`."
		}
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", k.name, standard, meaning)
	}
}

// yamlBlock matches a block of YAML with the line in front of it.
var yamlBlock = regexp.MustCompile("(?s)\n([^\n]*)\n```yaml\n(.*?)```")

// configured are the pages of which every block of YAML is a configuration,
// unless it is marked as a file for Kubernetes. Those of getting-started.md
// have a test in test/deploy.
var configured = []string{"authentication.md", "cluster.md", "configuration.md", "operating.md", "permissions.md"}

// The examples of the documentation and of deploy are accepted by the parser
// and by the schema.
func TestExampleFiles(t *testing.T) {
	compiled := schema(t)
	examples := make(map[string]string)
	for _, name := range configured {
		text, err := os.ReadFile(filepath.Join("..", "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for i, match := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			if match[1] == "<!-- example: kubernetes -->" {
				continue
			}
			examples[fmt.Sprintf("%s, example %d", name, i+1)] = match[2]
			found++
		}
		if found == 0 {
			t.Errorf("%s has no example", name)
		}
	}
	file := filepath.Join("..", "deploy", "stoa.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	examples[file] = string(text)
	for name, content := range examples {
		if mistakes := parseFile("stoa.yaml", []byte(content)).errors; len(mistakes) > 0 {
			t.Errorf("%s: %v", name, mistakes)
		}
		if err := validate(t, compiled, content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// Certificates exist on the machine of the node only.
		withoutFiles := regexp.MustCompile(`(?m)^  (cert|key|redis_ca|redis_cert|redis_key): .*$`).ReplaceAllString(content, "")
		if _, err := Load(Sources{File: "stoa.yaml", Content: []byte(withoutFiles)}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
