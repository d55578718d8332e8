package archmap

import (
	"slices"
	"strings"
)

// box is a row of the map in the drawing, or a bend of an arrow that passes a
// layer.
type box struct {
	row      *Row // nil for a bend
	name     string
	folder   bool // stands for all packages below
	layer    int  // 0 is the lowest
	position int  // in its layer; see crossingsBelow
	down     []*box
	up       []*box
	x        float64 // of the center
	width    float64
}

// graph is the drawing: boxes with arrows from the importing package down to
// the imported one.
type graph struct {
	boxes  []*box
	layers [][]*box // from left to right, bends included; the lowest comes first
}

// newGraph makes the graph of the rows whose group is drawn. It has the imports
// of sources that are no tests, but those that follow from others.
func newGraph(rows []*Row, sources []*Source) *graph {
	g := new(graph)
	for _, row := range rows {
		if !row.Go() || row.Group == Tests {
			continue
		}
		for _, name := range row.Names {
			name, folder := strings.CutSuffix(name, "/...")
			if g.find(name) != nil {
				continue // in a folder
			}
			b := &box{row: row, name: name, folder: folder}
			label, parent := b.label()
			b.width = max(nameWidth*float64(len(label)), pathWidth*float64(len(parent))) + 2*padding
			g.boxes = append(g.boxes, b)
		}
	}
	for _, s := range sources {
		from := g.find(s.Dir)
		if from == nil || s.Test {
			continue
		}
		for _, imported := range s.Imports() {
			own, ok := strings.CutPrefix(imported.Path, Module+"/")
			if to := g.find(own); ok && to != nil && to != from && !slices.Contains(from.down, to) {
				from.down = append(from.down, to)
			}
		}
	}
	g.reduce()
	return g
}

// find returns the box of a package, which can be the box of a folder above it.
func (g *graph) find(name string) *box {
	for _, b := range g.boxes {
		if b.name == name || b.folder && within(name, b.name) {
			return b
		}
	}
	return nil
}

// reduce removes every arrow to a box that another arrow's target reaches, and
// sets the arrows up.
func (g *graph) reduce() {
	reduced := make(map[*box][]*box)
	for _, b := range g.boxes {
		for _, to := range b.down {
			implied := slices.ContainsFunc(b.down, func(other *box) bool { return other != to && other.reaches(to) })
			if !implied {
				reduced[b] = append(reduced[b], to)
			}
		}
	}
	for _, b := range g.boxes {
		b.down = reduced[b]
		slices.SortFunc(b.down, func(a, b *box) int { return strings.Compare(a.name, b.name) })
		for _, to := range b.down {
			to.up = append(to.up, b)
		}
	}
}

func (b *box) reaches(to *box) bool {
	return b == to || slices.ContainsFunc(b.down, func(next *box) bool { return next.reaches(to) })
}

// assignLayers puts every box above all that it imports, by its longest way
// down, and then shortens arrows: a box without more arrows down than up rises
// as far as the boxes above it allow.
func (g *graph) assignLayers() {
	top := 0
	for _, b := range g.boxes {
		b.layer = b.height()
		top = max(top, b.layer)
	}
	for moved := true; moved; {
		moved = false
		for _, b := range g.boxes {
			highest := top
			for _, above := range b.up {
				highest = min(highest, above.layer-1)
			}
			if b.layer < highest && len(b.up) >= len(b.down) {
				b.layer, moved = highest, true
			}
		}
	}
}

// height returns the number of arrows on the longest way down.
func (b *box) height() int {
	height := 0
	for _, next := range b.down {
		height = max(height, next.height()+1)
	}
	return height
}

// addBends splits the arrows that pass layers, and fills the layers.
func (g *graph) addBends() {
	for _, b := range g.boxes {
		b.up = nil
	}
	all := slices.Clone(g.boxes)
	for _, from := range g.boxes {
		for i, to := range from.down {
			above := from
			for layer := from.layer - 1; layer > to.layer; layer-- {
				bend := &box{layer: layer, width: bendWidth, up: []*box{above}}
				if above == from {
					from.down[i] = bend
				} else {
					above.down = []*box{bend}
				}
				all, above = append(all, bend), bend
			}
			to.up = append(to.up, above)
			if above != from {
				above.down = []*box{to}
			}
		}
	}
	for _, b := range all {
		for len(g.layers) <= b.layer {
			g.layers = append(g.layers, nil)
		}
		g.layers[b.layer] = append(g.layers[b.layer], b)
	}
}
