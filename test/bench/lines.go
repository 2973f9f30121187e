package main

import "fmt"

// lines holds what was measured to what is required of it. What was left out of the
// run has no line.
func lines(r *report) (all []line) {
	seen := map[string]bool{}
	for _, f := range r.Figures {
		if !seen[f.Database] {
			seen[f.Database] = true
			all = append(all, r.linesOf(f.Database)...)
		}
	}
	return all
}

func (r *report) linesOf(database string) (all []line) {
	find := func(work string, callers, wallets int) *figure { return r.find(database, work, callers, wallets) }
	add := func(f *figure, work, required, measured string, isMet bool) {
		if f.Work != "" {
			all = append(all, line{database, work, required, measured, isMet})
		}
	}
	ratio := func(f *figure, work string, least float64) {
		add(f, work, fmt.Sprintf("at least %.2f of: %s", least, f.To), fmt.Sprintf("%.2f, best round %.2f", f.Ratio, f.BestOf), f.Ratio >= least)
	}
	many, limit := find(captured, usual, r.Form.Wallets), 60.0
	if database == postgresql {
		limit = 30
	}
	ratio(many, "captures, 512 callers, many wallets", 0.30)
	add(many, "… p99", fmt.Sprintf("under %.0f ms", limit), fmt.Sprintf("%.1f ms, best round %.1f ms", many.P99, many.BestP99), many.P99 < limit)
	ratio(find(captured, usual, 1), "… on one hot wallet", 0.9)
	alone, commit := find(captured, 1, r.Form.Wallets), find(commits, 1, 0)
	took := fmt.Sprintf("%.2f ms; a commit takes %.2f ms at the median, %.2f ms at p99", alone.P99, commit.P50, commit.P99)
	add(alone, "one caller alone, p99", "under 4 times the p99 of a durable commit of one row", took, alone.P99 < 4*commit.P99)
	add(alone, "… against the median", "under 4 times the median of such a commit", took, alone.P99 < 4*commit.P50)
	ratio(find(overHTTP, usualConns, r.Form.Wallets), "captures over HTTP, 256 connections", 0.25)
	ratio(find(bulkHTTP, reporters, 1), "bulk events over HTTP", 0.8)
	ratio(find(balances, usualConns, r.Form.Wallets), "balance reads over HTTP", 0.5)
	return append(append(all, r.linesOfRunning(database)...), r.linesOfHistory(database)...)
}

// maxPage is what a page may take at p99, in milliseconds.
const maxPage = 10.0

func (r *report) linesOfHistory(database string) []line {
	var slowest aged
	for _, a := range r.Aged {
		if a.Database == database && a.IsPage && a.P99 >= slowest.P99 {
			slowest = a
		}
	}
	if slowest.Read == "" {
		return nil
	}
	return []line{{database, fmt.Sprintf("pages over %d charges", r.Form.History), fmt.Sprintf("p99 under %.0f ms", maxPage),
		fmt.Sprintf("%.1f ms: %s", slowest.P99, slowest.Read), slowest.P99 < maxPage}}
}

func (r *report) linesOfRunning(database string) (all []line) {
	find := func(work string) *figure { return r.find(database, work, r.Form.Flows, r.Form.Spaces) }
	memory, rest, balance, lands := find(resides), find(resting), find(inPlace), find(landing)
	if memory.Work == "" {
		return nil
	}
	most := max(64, 1536*float64(r.Form.Flows)/1_000_000) // a process has some memory of its own
	return []line{
		{database, fmt.Sprintf("%d flows in %d workspaces: memory", r.Form.Flows, r.Form.Spaces), fmt.Sprintf("under %.0f MiB", most),
			fmt.Sprintf("%.0f MiB", memory.Value), memory.Value < most},
		{database, "… idle", "under 3 % of a core", fmt.Sprintf("%.2f %%", rest.Value), rest.Value < 3},
		{database, "… any balance", "p99 under 1 ms", fmt.Sprintf("p99 %.3f ms", balance.P99), balance.P99 < 1},
		{database, fmt.Sprintf("… %d landings in one second", r.Form.Landing), "each within 50 ms", fmt.Sprintf("median %.1f ms, last %.1f ms", lands.P50, lands.P99),
			lands.P99 < 50},
	}
}
