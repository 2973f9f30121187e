package tax

import "fmt"

// Forms are the countries whose tax ids are checked by their form.
func Forms() map[string]string {
	all := make(map[string]string, len(forms))
	for country, f := range forms {
		all[country] = fmt.Sprintf("%s, as %s", f.name, f.example)
	}
	return all
}
