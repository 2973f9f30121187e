package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/project"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/wallet"
)

// house is a server's worth of books without HTTP.
type house struct {
	ctx    context.Context
	db     *db.DB
	books  *ledger.Ledger
	prices *price.Book
	usage  *usage.Service
	ids    []ledger.ID
}

// The credits of a wallet and of a hold, and what a capture takes: a hundredth of a
// GiB of egress.
const (
	granted = 1_000_000 * credit.One
	held    = credit.One / 1000
	sold    = "network.egress"
	taken   = credit.Units / 100
)

// open opens books with so many wallets; with none, those that are there.
func open(ctx context.Context, url string, wallets int) (*house, error) {
	return openAt(ctx, url, wallets, nil)
}

// openAt opens books under a clock; nil is the machine's.
func openAt(ctx context.Context, url string, wallets int, clock db.Clock) (*house, error) {
	log := slog.New(slog.DiscardHandler)
	d, err := db.Open(ctx, db.Config{URL: url, Log: log, Clock: clock})
	if err != nil {
		return nil, err
	}
	go func() { _ = app.CollectSeldom(ctx) }() // as the server does
	h := &house{ctx: ctx, db: d, books: ledger.New(d, log)}
	h.prices = price.NewBook(h.books)
	h.usage = usage.New(h.books, h.prices, project.NewBook(h.books))
	if err := d.Update(ctx, h.prices.Open); err != nil {
		return nil, err
	}
	for i := range wallets {
		h.ids = append(h.ids, idOf(i))
	}
	_, err = measure(16, wallets, func(_, i int) error {
		return d.Update(ctx, func(tx *db.Tx) error { return h.fund(tx, h.ids[i], granted) })
	})
	return h, err
}

func idOf(i int) ledger.ID {
	return ledger.ID{Organization: fmt.Sprintf("org_%d", i/4), Workspace: fmt.Sprintf("ws_%d", i)}
}

// fund makes a wallet with credits.
func (h *house) fund(tx *db.Tx, id ledger.ID, amount credit.Amount) error {
	policy := wallet.DefaultPolicy()
	policy.MinRunway = 0
	if err := h.books.Create(tx, id, policy); err != nil {
		return err
	}
	_, err := h.books.Apply(tx, id, wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Purchased, Amount: amount, Priority: 50}})
	return err
}

// hold names the hold that the capture i takes from.
func (h *house) hold(i int) (ledger.ID, string) {
	return h.ids[i%len(h.ids)], fmt.Sprintf("hold_%08d", i)
}

// reserve makes the holds from one number up to another.
func (h *house) reserve(from, to int) error {
	perWallet := min(100, (to-from)/len(h.ids)+1)
	var units [][]int // numbers of one wallet each
	for w := range h.ids {
		var unit []int
		for i := from + (w-from%len(h.ids)+len(h.ids))%len(h.ids); i < to; i += len(h.ids) {
			if unit = append(unit, i); len(unit) == perWallet {
				units, unit = append(units, unit), nil
			}
		}
		if len(unit) > 0 {
			units = append(units, unit)
		}
	}
	_, err := measure(32, len(units), func(_, u int) error {
		return h.db.Update(h.ctx, func(tx *db.Tx) error {
			var commands []wallet.Command
			for _, i := range units[u] {
				_, hold := h.hold(i)
				commands = append(commands, wallet.Reserve{ID: hold, Amount: held, TTL: int64(24 * time.Hour)})
			}
			id, _ := h.hold(units[u][0])
			_, err := h.books.Apply(tx, id, commands...)
			return err
		})
	})
	return err
}

var captureBody = []byte(`{"usage":[{"sku":"` + sold + `","quantity":"0.01"}]}`)

// capture does what the server does for a capture of usage: once for its key, priced
// by the card that is in force, in a durable unit of work.
func (h *house) capture(i int) error {
	id, hold := h.hold(i)
	request := ledger.Request{
		Organization: id.Organization, Workspace: id.Workspace, Body: captureBody,
		Route: "POST /v1/workspaces/{workspace}/holds/" + hold + "/capture", Key: hold,
	}
	return h.db.Update(h.ctx, func(tx *db.Tx) error {
		_, err := h.books.Once(tx, request, func() (int, any, error) {
			prices, err := h.prices.History(tx, price.Default)
			if err != nil {
				return 0, nil, err
			}
			line, err := prices.Rate(price.Ask{SKU: sold, Quantity: taken}, tx.Now())
			if err != nil {
				return 0, nil, err
			}
			line.Project, line.User = "bench", "ann"
			result, err := h.books.Apply(tx, id, wallet.Capture{Hold: hold, Lines: []wallet.Line{line}})
			if err != nil {
				return 0, nil, err
			}
			return 200, map[string]any{"hold": hold, "amount": result.Effects.Charges[0].Amount.String()}, nil
		})
		return err
	})
}
