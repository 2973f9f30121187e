package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

func (s *Server) transferCalls() {
	command(s, call{
		id: "create-transfer", method: "POST", path: "/v1/workspaces/{workspace}/transfers", tag: tagCredits, action: org.Manage,
		status: 201, summary: "Move credits to another workspace of the organization",
		description: "The lots keep their terms and their share of the cost basis. Credits that are bound to a project, held, frozen or leased stay, and the answer says how many.",
	}, createTransfer)
}

// createTransfer takes the credits out of one wallet and puts them into the
// other in one unit of work: between the two nobody sees them gone.
func createTransfer(u *unit, _ *WorkspacePath, b *api.NewTransfer) (api.Transfer, error) {
	var f fields
	sum := f.positive("/amount", b.Amount)
	if err := f.Err(); err != nil {
		return api.Transfer{}, err
	}
	to, err := u.orgs.Workspace(u.tx, b.ToWorkspace)
	if fault.Is(err, fault.NotFound) || err == nil && to.Organization != u.id.Organization {
		return api.Transfer{}, fault.At("/to_workspace", "there is no workspace %.80q in this organization", b.ToWorkspace)
	}
	if err != nil {
		return api.Transfer{}, err
	}
	if to.ID == u.id.Workspace {
		return api.Transfer{}, fault.At("/to_workspace", "is the workspace that the credits come from")
	}
	transfer := u.tx.NewID("tr_")
	sent, err := u.ledger.Apply(u.tx, u.id, wallet.TransferOut{Amount: sum, ID: transfer})
	if err != nil {
		return api.Transfer{}, err
	}
	lots := u.newLots(sent.Effects.Moved, transfer, b.Reason)
	received, err := u.ledger.Apply(u.tx, to.Wallet(), wallet.TransferIn{Lots: lots, ID: transfer})
	if err != nil {
		return api.Transfer{}, err
	}
	out := api.Transfer{
		ID: transfer, FromWorkspace: u.id.Workspace, ToWorkspace: to.ID, Amount: amount(credit.Amount(0)), At: api.At(sent.At),
		Lots: []api.Lot{},
	}
	var moved credit.Amount
	for i := range lots {
		moved += lots[i].Amount
		out.Lots = append(out.Lots, lotOnWire(received.Wallet.Lot(lots[i].ID), 0, received.At))
	}
	out.Amount = amount(moved)
	out.Stayed = stayed(sent)
	return out, nil
}

// stayed is what could not have been moved, and why. Of a lot that is bound to a project
// or frozen, what is held counts there.
func stayed(now ledger.Result) api.Stayed {
	view := now.Wallet.View()
	held := view.HeldByLot(now.At)
	var project, frozen, later, set credit.Amount
	for _, l := range view.Lots(now.At) {
		left := l.Left + held[l.ID]
		switch {
		case l.Expired:
		case l.Frozen:
			frozen += left
		case len(l.Scope.Projects) > 0:
			project += left
		case l.EffectiveAt > now.At:
			later += left
		default:
			set += held[l.ID]
		}
	}
	return api.Stayed{
		Project: amount(project), Frozen: amount(frozen), Later: amount(later), Held: amount(set), Leased: amount(view.Balance(now.At).Leased),
	}
}

// newLots are the lots as the other wallet gets them: new ids, the same terms,
// and where they came from.
func (u *unit) newLots(moved []wallet.Lot, transfer, reason string) []wallet.Lot {
	lots := make([]wallet.Lot, len(moved))
	for i, l := range moved {
		lots[i] = l
		lots[i].ID = u.tx.NewID("lot_")
		lots[i].Source = transfer + " " + l.ID
		if reason != "" {
			lots[i].Reason = reason
		}
	}
	return lots
}
