package archmap

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// starts is the number of arrangements that order starts from.
const starts = 40

// order arranges and places the boxes of every layer so that few arrows cross,
// and arrows are short. It improves several random arrangements, always the
// same ones, and keeps the best.
func (g *graph) order() {
	random := rand.New(rand.NewPCG(1, 1))
	var best [][]*box
	least := math.Inf(1)
	for range starts {
		for _, layer := range g.layers {
			random.Shuffle(len(layer), func(i, j int) { layer[i], layer[j] = layer[j], layer[i] })
		}
		g.improve()
		g.place()
		const crossing = 200.0 // as bad as so many pixels aside
		if cost := crossing*float64(g.crossings()) + g.aside(); cost < least {
			best, least = g.arrangement(), cost
		}
	}
	g.layers = best
	g.place()
}

// improve sorts each layer by the middle of the neighbors, up and down the
// layers, and swaps neighbors as long as that helps. It keeps the best
// arrangement.
func (g *graph) improve() {
	best, fewest := g.arrangement(), g.crossings()
	for round := range 12 {
		if round%2 == 0 {
			for layer := 1; layer < len(g.layers); layer++ {
				g.sortLayer(layer, func(b *box) []*box { return b.down }, g.layers[layer-1])
			}
		} else {
			for layer := len(g.layers) - 2; layer >= 0; layer-- {
				g.sortLayer(layer, func(b *box) []*box { return b.up }, g.layers[layer+1])
			}
		}
		g.swap()
		if crossings := g.crossings(); crossings < fewest {
			best, fewest = g.arrangement(), crossings
		}
	}
	g.layers = best
}

// aside returns how far the arrows go aside together.
func (g *graph) aside() float64 {
	sum := 0.0
	for _, layer := range g.layers {
		for _, b := range layer {
			for _, to := range b.down {
				sum += math.Abs(b.x - to.x)
			}
		}
	}
	return sum
}

func (g *graph) arrangement() [][]*box {
	layers := make([][]*box, len(g.layers))
	for i, layer := range g.layers {
		layers[i] = slices.Clone(layer)
	}
	return layers
}

// sortLayer sorts a layer by the mean position of the neighbors in the next
// one.
func (g *graph) sortLayer(layer int, neighbors func(*box) []*box, next []*box) {
	middle := make(map[*box]float64)
	for i, b := range g.layers[layer] {
		middle[b] = float64(i) / float64(len(g.layers[layer])) * float64(len(next))
		if near := neighbors(b); len(near) != 0 {
			sum := 0
			for _, n := range near {
				sum += slices.Index(next, n)
			}
			middle[b] = float64(sum) / float64(len(near))
		}
	}
	slices.SortStableFunc(g.layers[layer], func(a, b *box) int { return cmp.Compare(middle[a], middle[b]) })
}

// swap exchanges neighbors in a layer as long as fewer arrows cross then.
func (g *graph) swap() {
	for improved := true; improved; {
		improved = false
		for l, layer := range g.layers {
			// The arrows of other layers stay as they are.
			around := func() int { return g.crossingsBelow(l) + g.crossingsBelow(l+1) }
			for i := range len(layer) - 1 {
				before := around()
				layer[i], layer[i+1] = layer[i+1], layer[i]
				if around() < before {
					improved = true
				} else {
					layer[i], layer[i+1] = layer[i+1], layer[i]
				}
			}
		}
	}
}

// crossings counts the pairs of arrows that cross.
func (g *graph) crossings() int {
	count := 0
	for layer := range g.layers {
		count += g.crossingsBelow(layer)
	}
	return count
}

// crossingsBelow counts those between a layer and the one below it, 0 if there
// is none.
func (g *graph) crossingsBelow(layer int) int {
	if layer < 1 || layer >= len(g.layers) {
		return 0
	}
	for i, b := range g.layers[layer-1] {
		b.position = i
	}
	count := 0
	var ends []int // of the arrows so far, from left to right
	for _, b := range g.layers[layer] {
		for _, to := range b.down {
			for _, end := range ends {
				if end > to.position {
					count++
				}
			}
		}
		for _, to := range b.down {
			ends = append(ends, to.position)
		}
	}
	return count
}

// place gives the boxes their x. Each layer in turn moves toward its neighbors,
// as far as the order and the gaps allow.
func (g *graph) place() {
	for _, layer := range g.layers {
		x := 0.0
		for _, b := range layer {
			b.x = x + b.width/2
			x += b.width + gap
		}
	}
	for round := range 60 {
		for i := range g.layers {
			if round%2 == 1 {
				i = len(g.layers) - 1 - i
			}
			settle(g.layers[i])
		}
	}
}

// settle moves the boxes of a layer to the mean of their neighbors. Where they
// would come too close, a run of them shares the mean of its wishes, which
// minimizes the sum of the squared distances.
func settle(layer []*box) {
	type run struct {
		wish, weight float64
		boxes        int
	}
	var runs []run
	offsets := make([]float64, len(layer))
	for i, b := range layer {
		if i > 0 {
			offsets[i] = offsets[i-1] + layer[i-1].width/2 + gap + b.width/2
		}
		wish, weight := b.wish()
		runs = append(runs, run{wish - offsets[i], weight, 1})
		for last := len(runs) - 1; last > 0 && runs[last].wish < runs[last-1].wish; last-- {
			a, b := runs[last-1], runs[last]
			weight := a.weight + b.weight
			runs[last-1] = run{(a.wish*a.weight + b.wish*b.weight) / weight, weight, a.boxes + b.boxes}
			runs = runs[:last]
		}
	}
	i := 0
	for _, r := range runs {
		for range r.boxes {
			layer[i].x = r.wish + offsets[i]
			i++
		}
	}
}

// wish returns where a box would like to be, and how much. Bends weigh more, so
// that long arrows are straight.
func (b *box) wish() (x, weight float64) {
	sum, weights := 0.0, 0.0
	for _, neighbors := range [][]*box{b.down, b.up} {
		for _, n := range neighbors {
			w := 1.0
			if b.row == nil && n.row == nil {
				w = 8
			}
			sum, weights = sum+w*n.x, weights+w
		}
	}
	if weights == 0 {
		return b.x, 0.01
	}
	return sum / weights, weights
}
