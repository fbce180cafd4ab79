package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// Median of xs; the mean of the two in the middle for an even number, NaN for none.
func Median(xs []float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	xs = slices.Sorted(slices.Values(xs))
	mid := len(xs) / 2
	if len(xs)%2 == 1 {
		return xs[mid]
	}
	return (xs[mid-1] + xs[mid]) / 2
}

// Ratios divides round by round: a[i] and ref[i] were measured next to each
// other, so what slows the machine for a while slows both.
func Ratios(a, ref []float64) []float64 {
	out := make([]float64, min(len(a), len(ref)))
	for i := range out {
		out[i] = a[i] / ref[i]
	}
	return out
}

// Ratio is a ratio to a reference, with as many digits as mean something.
func Ratio(x float64) string {
	if x < 0.1 {
		return fmt.Sprintf("%.3f ×", x)
	}
	if x < 10 {
		return fmt.Sprintf("%.2f ×", x)
	}
	return fmt.Sprintf("%.0f ×", x)
}

// Count is a whole number with its thousands apart.
func Count(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "–"
	}
	digits := strconv.FormatInt(int64(math.Round(math.Abs(x))), 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	if x <= -0.5 {
		digits = "-" + digits
	}
	return digits
}

// Micros is a time given in microseconds.
func Micros(x float64) string { return fmt.Sprintf("%.1f", x) }

// Millis is a time given in nanoseconds, shown in milliseconds.
func Millis(ns float64) string {
	ms := ns / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("%.2f", ms)
	}
	return fmt.Sprintf("%.1f", ms)
}

// MB is a size given in bytes, shown in MiB.
func MB(bytes float64) string { return fmt.Sprintf("%.1f", bytes/(1<<20)) }
