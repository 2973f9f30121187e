package price

import "github.com/purserhq/purser/internal/credit"

// The catalogue that a fresh installation sells, in credits per unit. Spot is
// missing where there is none.
var catalogue = []struct {
	sku            string
	unit           Unit
	onDemand, spot string
}{
	{"gpu.a10", Hour, "0.76", "0.30"},
	{"gpu.l40s", Hour, "1.80", "0.72"},
	{"gpu.a100-80g", Hour, "1.80", "0.72"},
	{"gpu.h100", Hour, "2.39", "0.96"},
	{"gpu.h200", Hour, "3.60", "1.44"},
	{"gpu.b200", Hour, "5.50", "2.20"},
	{"gpu.gb200", Hour, "6.50", "2.60"},
	{"gpu.b300", Hour, "7.50", "3.00"},
	{"cpu.vcpu", Hour, "0.02", "0.008"},
	{"memory.gib", GiBHour, "0.003", "0.0012"},
	{"storage.cluster", GiBMonth, "0.20", ""},
	{"storage.object", GiBMonth, "0.03", ""},
	{"storage.object.operations", Million, "0.50", ""},
	{"network.egress", GiB, "0.05", ""},
}

// Catalogue returns the SKUs that a fresh installation sells.
func Catalogue() []SKU {
	skus := make([]SKU, 0, len(catalogue))
	for _, c := range catalogue {
		prices := map[string]credit.Amount{OnDemand: mustParse(c.onDemand)}
		if c.spot != "" {
			prices[Spot] = mustParse(c.spot)
		}
		skus = append(skus, SKU{Name: c.sku, Unit: c.unit, Prices: prices})
	}
	return skus
}

// mustParse reads a price of the catalogue above.
func mustParse(s string) credit.Amount {
	a, err := credit.Parse(s)
	if err != nil {
		panic("price: the catalogue says " + s + ", which " + err.Error())
	}
	return a
}
