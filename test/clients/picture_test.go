package clients_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// Sizes of the picture, in its own units.
const (
	pictureWidth  = 760
	plotLeft      = 56
	plotRight     = 740
	plotHeight    = 120
	plotTop       = 64  // of the first plot
	plotDistance  = 176 // from one to the next
	pictureHeight = 430
)

// bin is the time that one bar stands for.
const bin = 100 * time.Millisecond

// pictureStyle brings its own background, so that nothing depends on that of
// the page.
const pictureStyle = `
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600 }
  .ground { fill: #ffffff }
  .away { fill: #eaeef2 }
  .axis { stroke: #57606a; stroke-width: 1 }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .bar { fill: #0969da }
  .first { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .ground { fill: #0d1117 }
    .away { fill: #21262d }
    .axis { stroke: #8b949e }
    .grid { stroke: #30363d }
    .bar { fill: #58a6ff }
    .first { fill: #f0883e }
  }
`

// plot is the attempts of one kind of guest, counted by the time since the
// kill.
type plot struct {
	first, further []int // by bin
}

// draw writes a picture of the attempts after the first kill.
func (f *fleet) draw(t testing.TB, path string) {
	t.Helper()
	plots := make(map[kind]*plot)
	bins, tallest := 0, 0
	for _, a := range f.attempts() {
		bins = max(bins, int(a.since/bin)+1)
	}
	seconds := (bins + 9) / 10
	bins = seconds * 10
	for _, k := range kinds {
		plots[k] = &plot{first: make([]int, bins), further: make([]int, bins)}
	}
	for _, a := range f.attempts() {
		p, at := plots[a.kind], int(max(a.since, 0)/bin)
		if a.first {
			p.first[at]++
		} else {
			p.further[at]++
		}
		tallest = max(tallest, p.first[at]+p.further[at])
	}
	var out strings.Builder
	title := fmt.Sprintf("Attempts to reconnect after a node was killed, %d clients of each kind", guestsOfAKind)
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n",
		pictureWidth, pictureHeight, pictureWidth, pictureHeight, title)
	fmt.Fprintf(&out, "<style>%s</style>\n", pictureStyle)
	fmt.Fprintf(&out, `<rect class="ground" width="%d" height="%d" rx="6"/>`+"\n", pictureWidth, pictureHeight)
	fmt.Fprintf(&out, `<text class="title" x="%d" y="26">%s</text>`+"\n", plotLeft, title)
	away := f.starts[0].Sub(f.kills[0]).Seconds()
	for i, k := range kinds {
		plots[k].draw(&out, k, plotTop+i*plotDistance, scale{seconds, (tallest + 9) / 10 * 10}, away)
	}
	fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="middle">seconds since the node was killed</text>`+"\n",
		(plotLeft+plotRight)/2, pictureHeight-14)
	out.WriteString("</svg>\n")
	if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
		t.Error(err)
	}
}

// scale is the length of both axes.
type scale struct{ seconds, attempts int }

func (s scale) x(seconds float64) float64 {
	return plotLeft + seconds/float64(s.seconds)*(plotRight-plotLeft)
}

func (s scale) height(attempts int) float64 {
	return float64(attempts) / float64(s.attempts) * plotHeight
}

// drawPlot draws the bars of one kind and their axes.
func (p *plot) draw(out *strings.Builder, k kind, top int, s scale, away float64) {
	bottom := float64(top + plotHeight)
	fmt.Fprintf(out, `<rect class="away" x="%d" y="%d" width="%.1f" height="%d"/>`+"\n", plotLeft, top, s.x(away)-plotLeft, plotHeight)
	fmt.Fprintf(out, `<text x="%.1f" y="%d" text-anchor="end">no node</text>`+"\n", s.x(away)-8, top+14)
	for attempts := 0; attempts <= s.attempts; attempts += max(10, s.attempts/40*10) {
		y := bottom - s.height(attempts)
		fmt.Fprintf(out, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, plotLeft, plotRight, y, y)
		fmt.Fprintf(out, `<text x="%d" y="%.1f" text-anchor="end">%d</text>`+"\n", plotLeft-8, y+4, attempts)
	}
	width := (s.x(bin.Seconds()) - plotLeft) - 0.8
	for i := range p.first {
		x, y := s.x(float64(i)*bin.Seconds())+0.4, bottom
		for _, part := range []struct {
			class string
			count int
		}{{"first", p.first[i]}, {"bar", p.further[i]}} {
			if part.count == 0 {
				continue
			}
			y -= s.height(part.count)
			fmt.Fprintf(out, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`+"\n", part.class, x, y, width, s.height(part.count))
		}
	}
	fmt.Fprintf(out, `<line class="axis" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`+"\n", plotLeft, plotRight, bottom, bottom)
	for second := 0; second <= s.seconds; second += 1 + s.seconds/16 {
		fmt.Fprintf(out, `<text x="%.1f" y="%.1f" text-anchor="middle">%d</text>`, s.x(float64(second)), bottom+18, second)
	}
	name := map[kind]string{kindGo: "Go: attempts in each tenth of a second", kindJS: "JavaScript: attempts in each tenth of a second"}[k]
	fmt.Fprintf(out, "\n"+`<text x="%d" y="%d">%s</text>`+"\n", plotLeft, top-8, name)
	x := plotRight - 178
	fmt.Fprintf(out, `<rect class="first" x="%d" y="%d" width="10" height="10"/><text x="%d" y="%d">first</text>`, x, top-17, x+16, top-8)
	fmt.Fprintf(out, `<rect class="bar" x="%d" y="%d" width="10" height="10"/><text x="%d" y="%d">further ones</text>`+"\n", x+70, top-17, x+86, top-8)
}
