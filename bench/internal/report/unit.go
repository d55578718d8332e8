package report

import (
	"fmt"
	"math"
	"strings"
)

// A Unit says how a value is printed.
type Unit uint8

// The units of results.
const (
	Bytes Unit = iota + 1
	Nanoseconds
	Microseconds
	Milliseconds
	PerSecond
	Count
)

func (u Unit) format(v float64) string {
	switch u {
	case Bytes:
		return Thousands(v) + " B"
	case Nanoseconds:
		return fmt.Sprintf("%.1f ns", v)
	case Microseconds:
		return fmt.Sprintf("%.2f µs", v)
	case Milliseconds:
		return fmt.Sprintf("%.2f ms", v)
	case PerSecond:
		return Thousands(v) + "/s"
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

// Thousands formats v with commas, rounded to three significant digits. No run
// repeats more digits than that.
func Thousands(v float64) string {
	if v != 0 {
		scale := math.Pow(10, max(0, math.Floor(math.Log10(math.Abs(v)))-2))
		v = math.Round(v/scale) * scale
	}
	digits := fmt.Sprintf("%.0f", math.Abs(v))
	var b strings.Builder
	if v < 0 {
		b.WriteByte('-')
	}
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}
