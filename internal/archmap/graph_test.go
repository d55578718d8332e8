package archmap

import (
	"bytes"
	"encoding/xml"
	"go/parser"
	"go/token"
	"io"
	"strings"
	"testing"
)

// drawn makes the graph of packages in a map from paths to imports, separated
// by spaces.
func drawn(t *testing.T, imports map[string]string) *graph {
	t.Helper()
	var (
		rows    []*Row
		sources []*Source
	)
	for _, name := range []string{"program", "middle", "left", "right", "low", "tested", "folder/..."} {
		row := &Row{Group: Public, Names: []string{name}, What: "a & b", Imports: []string{"all"}}
		if name == "tested" {
			row.Group = Tests
		}
		rows = append(rows, row)
		var text strings.Builder
		text.WriteString("package x\n")
		for imported := range strings.FieldsSeq(imports[name]) {
			text.WriteString("import \"" + Module + "/" + imported + "\"\n")
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, text.String(), 0)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, &Source{Dir: strings.Replace(name, "...", "inside", 1), Files: files, File: file})
	}
	return newGraph(rows, sources)
}

var diamond = map[string]string{
	"program": "middle low tested folder/other", "middle": "left right low", "left": "low", "right": "low",
	"tested": "low", "folder/...": "folder/other low",
}

func TestArrowsThatFollowFromOthersAreLeftOut(t *testing.T) {
	g := drawn(t, diamond)
	for name, want := range map[string]string{
		"program": "folder middle", "middle": "left right", "left": "low", "right": "low", "folder": "low", "low": "",
	} {
		var got []string
		for _, to := range g.find(name).down {
			got = append(got, to.name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s has arrows to %q, want %q", name, got, want)
		}
	}
	if g.find("tested") != nil {
		t.Error("a package for tests is drawn")
	}
}

func TestArrowsPointDown(t *testing.T) {
	g := drawn(t, diamond)
	g.assignLayers()
	for name, want := range map[string]int{"program": 3, "middle": 2, "left": 1, "right": 1, "folder": 2, "low": 0} {
		if got := g.find(name).layer; got != want {
			t.Errorf("%s is in layer %d, want %d", name, got, want)
		}
	}
	g.addBends()
	for i, layer := range g.layers {
		for _, b := range layer {
			for _, to := range b.down {
				if to.layer != i-1 {
					t.Errorf("an arrow from %q in layer %d ends in layer %d", b.name, i, to.layer)
				}
			}
		}
	}
}

func TestBoxesDoNotOverlap(t *testing.T) {
	g := drawn(t, diamond)
	g.assignLayers()
	g.addBends()
	g.order()
	for _, layer := range g.layers {
		for i := 1; i < len(layer); i++ {
			if space := layer[i].x - layer[i].width/2 - layer[i-1].x - layer[i-1].width/2; space < gap-0.01 {
				t.Errorf("%q and %q are %.1f apart, want %v", layer[i-1].name, layer[i].name, space, gap)
			}
		}
	}
	if crossings := g.crossings(); crossings != 0 {
		t.Errorf("%d arrows cross, want none", crossings)
	}
	svg := g.svg()
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := decoder.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
	}
}

func TestLabels(t *testing.T) {
	for name, want := range map[string][2]string{
		"node": {"node", ""}, "internal/hub": {"hub", ""}, "cmd/stoa/internal/cli": {"cli", "cmd/stoa"},
		"internal/load/rawnet": {"rawnet", "load"}, "cluster/redisbroker": {"redisbroker", "cluster"},
	} {
		if label, folder := (&box{name: name}).label(); label != want[0] || folder != want[1] {
			t.Errorf("the label of %s is %q in %q, want %q in %q", name, label, folder, want[0], want[1])
		}
	}
}
