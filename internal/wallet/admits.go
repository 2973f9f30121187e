package wallet

import "slices"

// Admits asks the gate beforehand: it returns the refusal that the start of such
// a flow, without a largest cost, would get at the wallet's instant, or nil.
// Whoever is admitted sets credits aside until the start ([Reserve]).
func (w *Wallet) Admits(c Start) error {
	f := &Flow{Project: c.Project, User: c.User, Job: c.Job, Key: c.Key, Items: slices.Clone(c.Items)}
	if err := checkItems(f.Items); err != nil {
		return err
	}
	return w.passStart(f, f.Items, nil)
}
