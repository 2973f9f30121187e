package price

import (
	"fmt"
	"slices"
	"strings"
)

// What is named of names that are near another.
const (
	maxNearest = 3  // at most so many
	maxShown   = 60 // bytes of a name that was not found
)

// nearest returns the known names that somebody may have meant by name, the
// likeliest first: those that differ in few letters, or hold it whole.
func nearest(name string, known []string) []string {
	if len(name) > maxShown {
		return nil
	}
	type candidate struct {
		name     string
		distance int
	}
	name = strings.ToLower(name)
	var found []candidate
	for _, k := range known {
		d := distance(name, k)
		if len(name) >= 2 && strings.Contains(k, name) {
			d = min(d, 1)
		}
		if d <= max(1, len(name)/4) {
			found = append(found, candidate{k, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.distance - b.distance })
	var names []string
	for _, c := range found[:min(len(found), maxNearest)] {
		names = append(names, c.name)
	}
	return names
}

// distance is how many bytes must be put in, taken out or replaced to make b of
// a (Levenshtein, one row at a time).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

func didYouMean(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(names, " or ") + "?"
}

// quoted shows a name that came from outside, cut if it is long.
func quoted(name string) string {
	if len(name) > maxShown {
		return fmt.Sprintf("%q…", strings.ToValidUTF8(name[:maxShown], ""))
	}
	return fmt.Sprintf("%q", name)
}
