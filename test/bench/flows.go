package main

import (
	"fmt"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

const (
	starts    = "starts of flows in the process"
	stops     = "stops of flows in the process"
	advancing = "advance of a wallet with 10,000 flows over a lot's end"
)

// flow is what runs: GPUs by the hour.
func flow(id string, i int) (wallet.Start, error) {
	const price = 2_390_000_000 // 2.39 for an hour
	quantity := credit.Quantity(1+i%8) * credit.Units
	rate, err := credit.NewRate(price, quantity)
	return wallet.Start{ID: id, Project: fmt.Sprint("p", i%3), Items: []wallet.Item{{
		SKU: "gpu.h100", Tier: "on-demand", Unit: "hour", Quantity: quantity, Price: price, Card: "default", Version: 1,
		Rate: rate, Period: credit.Hour,
	}}}, err
}

// flows starts and stops them, each in a unit of work.
func (b *bench) flows() error {
	h, err := b.house(b.Form.Wallets)
	if err != nil {
		return err
	}
	n := b.Form.Calls / 2
	var started, stopped []sample
	for r := range b.Form.Rounds {
		s, err := measure(usual, n, func(_, i int) error {
			start, err := flow(fmt.Sprintf("flow_%d_%d", r, i), i)
			if err != nil {
				return err
			}
			return h.apply(i, start)
		})
		if err != nil {
			return err
		}
		started = append(started, s)
		if s, err = measure(usual, n, func(_, i int) error { return h.apply(i, wallet.Stop{Flow: fmt.Sprintf("flow_%d_%d", r, i)}) }); err != nil {
			return err
		}
		stopped = append(stopped, s)
	}
	b.rounds(starts, usual, b.Form.Wallets, started, "", nil)
	b.rounds(stops, usual, b.Form.Wallets, stopped, "", nil)
	return h.db.Close()
}

// apply applies commands to the wallet whose turn it is.
func (h *house) apply(i int, commands ...wallet.Command) error {
	return h.db.Update(h.ctx, func(tx *db.Tx) error {
		_, err := h.books.Apply(tx, h.ids[i%len(h.ids)], commands...)
		return err
	})
}

// advance measures the engine alone, which knows no database: a wallet with 10,000
// flows in which 50 lots run out one after the other.
func (b *bench) advance() error {
	const flows, lots = 10_000, 50
	var rounds []sample
	for range b.Form.Rounds {
		at := int64(480_000) * int64(credit.Hour)
		w := wallet.New("ws_large", at, wallet.DefaultPolicy())
		for i := range lots {
			if _, err := w.Apply(at, wallet.Grant{Lot: wallet.Lot{ID: fmt.Sprintf("lot_%02d", i), Kind: wallet.Purchased,
				Amount: 100_000 * credit.One, Priority: 50}}); err != nil {
				return err
			}
		}
		for i := range flows {
			start, err := flow(fmt.Sprintf("flow_%05d", i), i)
			if err != nil {
				return err
			}
			if at += 1_000_003; i%100 != 0 {
				at -= 1_000_003
			}
			if _, err := w.Apply(at, start); err != nil {
				return err
			}
		}
		empty := w.View().Projection().EmptyAt
		began, used := time.Now(), cpu()
		if _, err := w.Apply(empty-1_000_000, wallet.Tick{}); err != nil {
			return err
		}
		each := time.Since(began) / lots
		rounds = append(rounds, sample{each * lots, make([]time.Duration, lots), cpu() - used})
		for i := range rounds[len(rounds)-1].took {
			rounds[len(rounds)-1].took[i] = each
		}
	}
	b.rounds(advancing, 1, 1, rounds, "", nil)
	return nil
}
