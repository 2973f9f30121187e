package ledger

import (
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// reports compares the usage events of a wallet with the charges made for them, one
// to one, without holding them: otherwise an event could be charged again, or never
// was. The sum of the hashes of all reports, in whatever order, must be the same on
// both sides, in each of the buckets that they are dealt into; a difference is then
// named by looking at one of these.
type reports struct {
	seed   maphash.Seed
	sums   []uint64
	proven int64                 // the first charge whose line tells the digest of its report; 0: none does
	picked []bool                // the buckets whose reports are to be held
	held   map[reportName]report // of picked buckets
}

type reportName struct{ source, id string }

// report is what a usage event says. The digest is left out where the journal does
// not tell it: an earlier release did not.
type report struct {
	at, charge int64
	digest     string
}

func newReports(seed maphash.Seed, picked []bool) *reports {
	return &reports{seed: seed, sums: make([]uint64, reportBuckets), picked: picked, held: map[reportName]report{}}
}

const reportBuckets = 256

func (n reportName) String() string { return strconv.Quote(n.source + " " + n.id) }

func (s *reports) add(name reportName, what report) {
	if s.proven == 0 || what.charge < s.proven {
		what.digest = ""
	}
	bucket := maphash.Comparable(s.seed, name) % reportBuckets
	s.sums[bucket] += maphash.Comparable(s.seed, struct {
		reportName
		report
	}{name, what})
	if s.picked != nil && s.picked[bucket] {
		s.held[name] = what
	}
}

// addReports adds the charges that a command made for usage events. An event is named by
// its source and its id, with a blank between.
func (r *replay) addReports(command any, charges []wallet.Charge) {
	use, _ := command.(wallet.Use)
	for i := range charges {
		c := &charges[i]
		source, id, isReported := strings.Cut(c.Event, " ")
		if !isReported || c.Flow != "" || c.Hold != "" {
			continue
		}
		at := slices.IndexFunc(use.Lines, func(l wallet.Line) bool { return l.Event == c.Event })
		digest := ""
		if at >= 0 {
			digest, use.Lines = use.Lines[at].Digest, use.Lines[at+1:]
		}
		if r.reports.proven == 0 && digest != "" {
			r.reports.proven = c.No
		}
		r.reports.add(reportName{source, id}, report{c.From, c.No, digest})
	}
}

// auditReported compares the usage events with the charges.
func (r *replay) auditReported(wallet.State) error {
	stored, err := r.storedReports(nil)
	if err != nil {
		return err
	}
	picked := make([]bool, reportBuckets)
	for i := range picked {
		picked[i] = stored.sums[i] != r.reports.sums[i]
	}
	if !slices.Contains(picked, true) {
		return nil
	}
	again := newReplay(r.verification, r.id)
	again.isSilent, again.reports = true, newReports(r.reports.seed, picked)
	if err := again.run(); err != nil {
		return err
	}
	if stored, err = r.storedReports(picked); err != nil {
		return err
	}
	return r.nameReports(stored.held, again.reports.held)
}

// storedReports sums the rows up, and holds those of the picked buckets.
func (r *replay) storedReports(picked []bool) (*reports, error) {
	s := newReports(r.reports.seed, picked)
	s.proven = r.reports.proven
	err := r.tx.Each(func(row db.Scanner) error {
		var name reportName
		var what report
		err := row.Scan(&name.source, &name.id, &what.at, &what.digest, &what.charge)
		s.add(name, what)
		if picked == nil {
			r.made["usage_events"]++
		}
		return err
	}, `SELECT source, id, at, digest, charge FROM usage_events`+inWallet, r.id.Organization, r.id.Workspace)
	return s, fault.While("read the usage events of "+r.id.String(), err)
}

func (r *replay) nameReports(stored, replayed map[reportName]report) error {
	var names []reportName
	for name := range replayed {
		names = append(names, name)
	}
	for name := range stored {
		if _, both := replayed[name]; !both {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b reportName) int { return strings.Compare(a.String(), b.String()) })
	for _, name := range names {
		is, isStored := stored[name]
		was, isReplayed := replayed[name]
		if err := r.nameReport(name.String(), is, was, isStored, isReplayed); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) nameReport(name string, is, was report, isStored, isReplayed bool) error {
	switch {
	case is == was && isStored == isReplayed:
		return nil
	case !isStored:
		return r.mismatch("usage_events", name, "", "no row", "one, of charge "+number(was.charge))
	case !isReplayed:
		return r.mismatch("usage_events", name, "", "a row, of charge "+number(is.charge), "none")
	case is.at != was.at:
		return r.mismatch("usage_events", name, "at", number(is.at), number(was.at))
	case is.charge != was.charge:
		return r.mismatch("usage_events", name, "charge", number(is.charge), number(was.charge))
	}
	return r.mismatch("usage_events", name, "digest", strconv.Quote(is.digest), strconv.Quote(was.digest))
}
