package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

func (s *Server) postingCalls() {
	query(s, call{
		id: "list-postings", method: "GET", path: "/v1/workspaces/{workspace}/postings", tag: tagBooks, action: org.Account,
		summary: "List postings, the newest first",
	}, listPostings)
}

func listPostings(r *reading, p *struct {
	WorkspacePath
	api.PostingQuery
}) (list api.List[api.Posting], err error) {
	filter := ledger.PostingFilter{Kind: wallet.PostingKind(p.Kind)}
	if p.Charge != "" {
		if filter.Charge, err = numberOf("chg_", "charge", r.id, p.Charge); err != nil {
			return list, err
		}
	}
	err = r.view(func(tx *db.Tx) error {
		postings, next, err := r.ledger.Postings(tx, r.id, filter, newest(p.Page))
		if err != nil {
			return err
		}
		list, err = listed(postings, next, func(p ledger.Posting) (api.Posting, error) { return postingOnWire(r.id, p), nil })
		return err
	})
	return list, err
}

func postingOnWire(id ledger.ID, p ledger.Posting) api.Posting {
	return api.Posting{
		ID: numbered("pst_", id, p.No), No: p.No, At: api.At(p.At), Kind: string(p.Kind), Debit: p.Debit, Credit: p.Credit,
		Amount: amount(p.Amount), Charge: numberedOrNone("chg_", id, p.Charge), Corrects: numberedOrNone("chg_", id, p.Corrects),
		Transfer: p.Transfer, Hash: p.Hash(), PrevHash: p.PrevHash(),
	}
}
