package report

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// Chart is a plot of grouped bars, one bar per series in each group.
type Chart struct {
	Name   string   `json:"name"` // of the file
	Title  string   `json:"title"`
	Unit   string   `json:"unit"`
	Groups []string `json:"groups"`
	Series []Series `json:"series"`
	Log    bool     `json:"log"` // for values that are powers of ten apart
}

// Series is one value per group; a value of 0 is not drawn.
type Series struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"`
}

// Size and margins of a plot, in pixels.
const (
	width, height           = 1000, 360
	left, right, top, below = 64, 12, 82, 34
	plotW, plotH            = width - left - right, height - top - below
)

// The colours are told apart by people who do not see all colours
// (Okabe and Ito), on light and on dark ground.
var colours = []string{"#999999", "#e69f00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"}

const style = `<style>text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-size:14px;font-weight:600}.v{font-size:10px}` +
	`line{stroke:#d0d7de}rect.bg{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#e6edf3}line{stroke:#30363d}rect.bg{fill:#0d1117}}</style>`

// SVG draws the chart.
func (c Chart) SVG() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n%s\n",
		width, height, html.EscapeString(c.Title), style)
	fmt.Fprintf(&b, `<rect class="bg" width="%d" height="%d"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text class="t" x="%d" y="20">%s</text>`+"\n", left, html.EscapeString(c.Title+" ("+c.Unit+")"))
	scale, ticks := c.axis()
	for _, v := range ticks {
		y := float64(top+plotH) - scale(v)*plotH
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, width-right, y, y, left-6, y+4, number(v))
	}
	c.legend(&b)
	groupW := float64(plotW) / float64(max(1, len(c.Groups)))
	barW := groupW * 0.84 / float64(max(1, len(c.Series)))
	for g, name := range c.Groups {
		x := float64(left) + float64(g)*groupW
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x+groupW/2, height-12, html.EscapeString(name))
		for i, s := range c.Series {
			if g >= len(s.Values) || !(s.Values[g] > 0) {
				continue
			}
			h := scale(s.Values[g]) * plotH
			bx, by := x+groupW*0.08+float64(i)*barW, float64(top+plotH)-h
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, bx, by, barW-1, h, colours[i%len(colours)])
			fmt.Fprintf(&b, `<text class="v" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", bx+barW/2, by-3, number(s.Values[g]))
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (c Chart) legend(b *bytes.Buffer) {
	x, y := left, 41
	for i, s := range c.Series {
		wide := 30 + 7*len([]rune(s.Name))
		if x+wide > width && x > left {
			x, y = left, y+18
		}
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="10" height="10" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
			x, y-9, colours[i%len(colours)], x+14, y, html.EscapeString(s.Name))
		x += wide
	}
}

// axis maps values to 0…1 of the plot's height and says where its lines are.
func (c Chart) axis() (scale func(float64) float64, ticks []float64) {
	lo, hi := math.Inf(1), 0.0
	for _, s := range c.Series {
		for _, v := range s.Values {
			if v > 0 && !math.IsInf(v, 0) {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	if hi == 0 {
		lo, hi = 1, 1
	}
	if c.Log {
		from, to := math.Floor(math.Log10(lo)-0.3), math.Ceil(math.Log10(hi)+0.1)
		for e := from; e <= to; e++ {
			ticks = append(ticks, math.Pow(10, e))
		}
		return func(v float64) float64 { return (math.Log10(v) - from) / (to - from) }, ticks
	}
	step := math.Pow(10, math.Floor(math.Log10(hi)))
	for hi/step < 4 {
		step /= 2
	}
	end := math.Ceil(hi*1.05/step) * step
	for v := 0.0; v <= end+step/2; v += step {
		ticks = append(ticks, v)
	}
	return func(v float64) float64 { return v / end }, ticks
}

// number is a value short enough to stand over a bar.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 9950:
		return Count(v/1000) + "k"
	case v >= 1000:
		return fmt.Sprintf("%.1fk", v/1000)
	case v >= 10:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2g", v)
}
