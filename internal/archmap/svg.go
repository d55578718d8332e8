package archmap

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"math"
	"path"
	"slices"
	"strings"
)

// Drawing is the file with the drawing, relative to the top of the module.
const Drawing = "docs/architecture.svg"

// The measures of the drawing in pixels. The font has a fixed width, so that
// the text fits without measuring it.
const (
	nameWidth   = 8.4 // of a character in 14 px
	pathWidth   = 6.0 // of a character in 10 px
	padding     = 12.0
	boxHeight   = 44.0
	arrowHeight = 46.0 // between two layers, and more if an arrow goes far aside
	bendWidth   = 6.0
	gap         = 20.0
	margin      = 28.0
	legend      = 62.0
	smallest    = 520.0 // width, for the legend
)

const style = `<style>
  text { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328 }
  .name { font-size: 14px; font-weight: 600; text-anchor: middle }
  .path { font-size: 10px; text-anchor: middle; opacity: .65 }
  .key { font-size: 11px }
  .ground { fill: #ffffff }
  .arrow { fill: none; stroke: #8c959f; stroke-width: 1.4 }
  .head { fill: #8c959f }
  .public { fill: #ddf4ff; stroke: #0969da }
  .internal { fill: #dafbe1; stroke: #1a7f37 }
  .program { fill: #fff1e5; stroke: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .ground { fill: #0d1117 }
    .arrow { stroke: #6e7681 }
    .head { fill: #6e7681 }
    .public { fill: #0c2d6b; stroke: #58a6ff }
    .internal { fill: #033a16; stroke: #3fb950 }
    .program { fill: #5a1e02; stroke: #f0883e }
  }
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto" markerUnits="userSpaceOnUse"><path class="head" d="M0,0.5 L8,4 L0,7.5 z"/></marker></defs>
`

// classes are the groups that are drawn, with their classes in the style.
var classes = []struct {
	group       Group
	class, text string
}{
	{Programs, "program", "program"},
	{Public, "public", "public package"},
	{Internal, "internal", "package in internal/"},
}

// Draw returns the drawing of the packages and their imports as SVG.
func Draw(top string) ([]byte, error) {
	rows, err := ReadPage(top)
	if err != nil {
		return nil, err
	}
	sources, err := Sources(top)
	if err != nil {
		return nil, err
	}
	g := newGraph(rows, sources)
	g.assignLayers()
	g.addBends()
	g.order()
	return g.svg(), nil
}

func (g *graph) svg() []byte {
	left, right := math.Inf(1), math.Inf(-1)
	for _, layer := range g.layers {
		for _, b := range layer {
			left, right = min(left, b.x-b.width/2), max(right, b.x+b.width/2)
		}
	}
	if missing := smallest - 2*margin - (right - left); missing > 0 {
		left, right = left-missing/2, right+missing/2
	}
	width := right - left + 2*margin
	tops := g.tops()
	height := tops[0] + boxHeight + margin + legend
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="The packages of Stoa and their imports">`+"\n",
		width, height, width, height)
	out.WriteString(style)
	fmt.Fprintf(&out, `<rect class="ground" width="%.0f" height="%.0f" rx="8"/>`+"\n", width, height)
	d := drawing{out: &out, left: left - margin, tops: tops}
	for _, b := range g.boxes {
		for i, to := range b.down {
			d.arrow(b, i, to)
		}
	}
	for _, b := range g.boxes {
		d.box(b)
	}
	d.legend(height - legend)
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// tops returns the upper edges of the layers.
func (g *graph) tops() []float64 {
	tops := make([]float64, len(g.layers))
	y := margin
	for i := len(g.layers) - 1; i >= 0; i-- {
		tops[i] = y
		aside := 0.0
		for _, b := range g.layers[i] {
			for _, to := range b.down {
				aside = max(aside, math.Abs(b.x-to.x))
			}
		}
		y += boxHeight + arrowHeight + min(40, aside/8)
	}
	return tops
}

// drawing writes the elements of a drawing.
type drawing struct {
	out  *bytes.Buffer
	left float64
	tops []float64
}

// arrow draws the i-th arrow of a box, through its bends to a box below.
func (d drawing) arrow(from *box, i int, next *box) {
	x, y := port(from, from.down, i), d.tops[from.layer]+boxHeight
	fmt.Fprintf(d.out, `<path class="arrow" marker-end="url(#head)" d="M%.1f,%.1f`, x-d.left, y)
	above := from
	for {
		nextX, nextY := next.x, d.tops[next.layer]
		if next.row != nil {
			nextX = port(next, next.up, slices.Index(next.up, above))
		}
		middle := (y + nextY) / 2
		fmt.Fprintf(d.out, " C%.1f,%.1f %.1f,%.1f %.1f,%.1f", x-d.left, middle, nextX-d.left, middle, nextX-d.left, nextY)
		if next.row != nil {
			break
		}
		fmt.Fprintf(d.out, " V%.1f", nextY+boxHeight)
		x, y = nextX, nextY+boxHeight
		above, next = next, next.down[0]
	}
	d.out.WriteString(`"/>` + "\n")
}

// port returns where the i-th arrow leaves or enters a box: the arrows are
// spread over its edge, in the order of their other ends.
func port(b *box, neighbors []*box, i int) float64 {
	sorted := slices.SortedStableFunc(slices.Values(neighbors), func(a, b *box) int { return cmp.Compare(a.x, b.x) })
	position := slices.Index(sorted, neighbors[i])
	spread := min(22, (b.width-2*padding)/float64(len(neighbors)))
	return b.x + spread*(float64(position)-float64(len(neighbors)-1)/2)
}

func (d drawing) box(b *box) {
	x, y := b.x-d.left, d.tops[b.layer]
	class := ""
	for _, c := range classes {
		if c.group == b.row.Group {
			class = c.class
		}
	}
	fmt.Fprintf(d.out, `<g><title>%s</title><rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.0f" rx="6"/>`,
		html.EscapeString(b.name+": "+b.row.What), class, x-b.width/2, y, b.width, boxHeight)
	name, folder := b.label()
	if folder == "" {
		fmt.Fprintf(d.out, `<text class="name" x="%.1f" y="%.1f">%s</text></g>`+"\n", x, y+27, name)
	} else {
		fmt.Fprintf(d.out, `<text class="name" x="%.1f" y="%.1f">%s</text><text class="path" x="%.1f" y="%.1f">%s</text></g>`+"\n",
			x, y+19, name, x, y+34, folder)
	}
}

// label returns the name of a package, and the folder that it belongs to
// without "internal": the color of the box says that.
func (b *box) label() (name, folder string) {
	var folders []string
	for part := range strings.SplitSeq(path.Dir(b.name), "/") {
		if part != "internal" && part != "." {
			folders = append(folders, part)
		}
	}
	return path.Base(b.name), strings.Join(folders, "/")
}

func (d drawing) legend(y float64) {
	x := margin
	for _, c := range classes {
		fmt.Fprintf(d.out, `<rect class="%s" x="%.0f" y="%.0f" width="16" height="16" rx="4"/><text class="key" x="%.0f" y="%.0f">%s</text>`+"\n",
			c.class, x, y, x+22, y+12, c.text)
		x += 22 + 6.7*float64(len(c.text)) + 24
	}
	fmt.Fprintf(d.out, `<text class="key" x="%.0f" y="%.0f">An arrow is an import. Arrows that follow from others are left out.</text>`+"\n",
		margin, y+36)
}
