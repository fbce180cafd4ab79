// Package suggest finds what somebody meant who misspelt a name.
package suggest

// Limits of what counts as a misspelling, in edits and bytes.
const (
	maxEdits = 3
	maxName  = 64
)

// DidYouMean is "; did you mean x?" with the known name that is closest to name,
// for the end of an error's text. It is empty if none is within three edits.
func DidYouMean(name string, known []string) string {
	best, least := "", maxEdits+1
	for _, k := range known {
		if d := distance(name, k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is the number of edits of single bytes that make b of a (Levenshtein),
// or more than maxEdits where that is clear without counting.
func distance(a, b string) int {
	if len(a) > maxName || len(a)-len(b) > maxEdits || len(b)-len(a) > maxEdits {
		return maxEdits + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
