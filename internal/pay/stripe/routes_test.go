package stripe

import (
	"net/http"
	"strconv"
	"strings"
)

// routes are the handful of requests that the provider makes.
func (b *bank) routes() {
	b.route("POST /v1/customers", func(r *http.Request, shape thing) (thing, *refused) {
		id := b.id("cus")
		b.customers[id] = with(shape, thing{"id": id, "metadata": metadata(r.Form, "metadata", nil)})
		return b.customers[id], nil
	})
	b.route("POST /v1/customers/{id}", func(r *http.Request, shape thing) (thing, *refused) {
		b.customers[r.PathValue("id")]["email"] = r.Form.Get("email")
		return b.customers[r.PathValue("id")], nil
	})
	b.route("GET /v1/customers/{id}/payment_methods/{method}", func(r *http.Request, shape thing) (thing, *refused) {
		return b.card(r.PathValue("method"), shape)
	})
	b.route("POST /v1/payment_methods/{method}/detach", func(r *http.Request, shape thing) (thing, *refused) {
		card, no := b.card(r.PathValue("method"), shape)
		delete(b.cards, r.PathValue("method"))
		return card, no
	})
	b.intentRoutes()
	b.pageRoutes()
	b.closeRoutes()
	b.route("GET /v1/refunds", func(r *http.Request, _ thing) (thing, *refused) {
		return list(b.refunds, func(x thing) bool { return x["payment_intent"] == r.Form.Get("payment_intent") }), nil
	})
	b.route("POST /v1/refunds", b.refund)
}

func (b *bank) card(id string, shape thing) (thing, *refused) {
	if b.cards[id] == "" {
		return nil, missing
	}
	return with(shape, thing{"id": id, "type": "card", "customer": "cus_1",
		"card": thing{"brand": "visa", "last4": "4242", "exp_month": 4, "exp_year": 2030}}), nil
}

func (b *bank) intentRoutes() {
	b.route("POST /v1/payment_intents", func(r *http.Request, shape thing) (thing, *refused) {
		return b.intend(r, shape, "requires_payment_method", "metadata"), nil
	})
	b.route("GET /v1/payment_intents", func(r *http.Request, _ thing) (thing, *refused) {
		all := list(b.intents, func(i thing) bool { return i["customer"] == r.Form.Get("customer") })
		for n, i := range all["data"].([]thing) {
			all["data"].([]thing)[n] = b.expanded(i["id"].(string))
		}
		return all, nil
	})
	b.route("GET /v1/payment_intents/search", func(r *http.Request, _ thing) (thing, *refused) {
		found := list(b.intents, func(i thing) bool {
			return !b.isBehind && r.Form.Get("query") == "metadata['purser_payment']:'"+i["metadata"].(thing)["purser_payment"].(string)+"'"
		})
		found["object"] = "search_result"
		return found, nil
	})
	b.route("GET /v1/payment_intents/{id}", func(r *http.Request, _ thing) (thing, *refused) {
		if b.intents[r.PathValue("id")] == nil {
			return nil, missing
		}
		return b.expanded(r.PathValue("id")), nil
	})
	b.route("POST /v1/payment_intents/{id}", func(r *http.Request, _ thing) (thing, *refused) {
		i := b.intents[r.PathValue("id")]
		if method := r.Form.Get("payment_method"); method != "" {
			if i["status"] == "canceled" {
				return nil, unexpected(i)
			}
			if b.cards[method] == "" {
				return nil, missing
			}
			i["customer"], i["payment_method"], i["status"] = r.Form.Get("customer"), method, "requires_confirmation"
		}
		i["metadata"] = metadata(r.Form, "metadata", i["metadata"])
		return i, nil
	})
	b.route("POST /v1/payment_intents/{id}/confirm", b.confirm)
	b.route("POST /v1/payment_intents/{id}/cancel", func(r *http.Request, _ thing) (thing, *refused) {
		i := b.intents[r.PathValue("id")]
		if i["status"] == "canceled" || i["status"] == "succeeded" {
			return nil, unexpected(i)
		}
		i["status"], i["cancellation_reason"] = "canceled", r.Form.Get("cancellation_reason")
		return i, nil
	})
}

func unexpected(i thing) *refused {
	return &refused{status: 400, kind: "invalid_request_error", code: "payment_intent_unexpected_state",
		message: "This PaymentIntent's status is " + i["status"].(string), intent: i}
}

// intend makes an intent of a form.
func (b *bank) intend(r *http.Request, shape thing, status, meta string) thing {
	amount, _ := strconv.Atoi(r.Form.Get("amount"))
	id := b.id("pi")
	b.intents[id] = with(shape, thing{
		"id": id, "object": "payment_intent", "status": status, "amount": amount, "amount_received": 0, "currency": r.Form.Get("currency"),
		"metadata": metadata(r.Form, meta, nil), "last_payment_error": nil, "next_action": nil, "customer": nil, "payment_method": nil,
		"client_secret": id + "_secret_x",
	})
	return b.intents[id]
}

func (b *bank) expanded(id string) thing {
	i := b.intents[id]
	if method, is := i["payment_method"].(string); is {
		if card, no := b.card(method, thing{"object": "payment_method"}); no == nil {
			return with(i, thing{"payment_method": card})
		}
	}
	return i
}

// confirm takes the money, if the card lets it.
func (b *bank) confirm(r *http.Request, _ thing) (thing, *refused) {
	i := b.intents[r.PathValue("id")]
	if i["status"] != "requires_confirmation" && i["status"] != "requires_payment_method" {
		return nil, unexpected(i)
	}
	e := &refused{status: 402, kind: "card_error", code: "card_declined", message: "Your card was declined.", intent: i}
	switch card := b.cards[r.Form.Get("payment_method")]; card {
	case "good":
		b.take(i)
		return b.expanded(i["id"].(string)), nil
	case "3ds":
		e.code, e.decline, e.message = "authentication_required", "authentication_required", "Your card was declined. This transaction requires authentication."
	default:
		e.decline = card
	}
	i["status"] = "requires_payment_method"
	i["last_payment_error"] = thing{"type": e.kind, "code": e.code, "decline_code": e.decline, "message": e.message}
	return nil, e
}

// take takes the money of an intent.
func (b *bank) take(i thing) {
	i["status"], i["amount_received"], i["last_payment_error"] = "succeeded", i["amount"], nil
	b.moved[i["metadata"].(thing)["purser_payment"].(string)]++
}

func (b *bank) pageRoutes() {
	b.route("POST /v1/checkout/sessions", func(r *http.Request, shape thing) (thing, *refused) {
		id := b.id("cs")
		amount, _ := strconv.Atoi(r.Form.Get("line_items[0][price_data][unit_amount]"))
		b.sessions[id] = with(shape, thing{
			"id": id, "status": "open", "payment_status": "unpaid", "mode": r.Form.Get("mode"), "customer": r.Form.Get("customer"),
			"url": "https://checkout.example/" + id, "amount_total": amount, "currency": "usd", "expires_at": 1_800_000_000,
			"payment_intent": nil, "metadata": metadata(r.Form, "metadata", nil), "form": r.Form,
		})
		return b.sessions[id], nil
	})
	b.route("GET /v1/checkout/sessions", func(r *http.Request, _ thing) (thing, *refused) {
		return list(b.sessions, func(s thing) bool { return s["payment_intent"] == r.Form.Get("payment_intent") }), nil
	})
	b.route("GET /v1/checkout/sessions/{id}", func(r *http.Request, _ thing) (thing, *refused) {
		s := b.sessions[r.PathValue("id")]
		if s == nil {
			return nil, missing
		}
		if i, is := s["payment_intent"].(string); is {
			return with(s, thing{"payment_intent": b.expanded(i)}), nil
		}
		return s, nil
	})
}

// closeRoutes expires pages, as Stripe does: one that was paid cannot.
func (b *bank) closeRoutes() {
	b.route("POST /v1/checkout/sessions/{id}/expire", func(r *http.Request, _ thing) (thing, *refused) {
		s := b.sessions[r.PathValue("id")]
		if s == nil {
			return nil, missing
		}
		if s["status"] != "open" {
			return nil, &refused{status: 400, kind: "invalid_request_error", message: "Only open sessions can be expired."}
		}
		s["status"] = "expired"
		return s, nil
	})
}

// visit is the customer on a page, trying a card.
func (b *bank) visit(page, card string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := page[strings.LastIndex(page, "/")+1:]
	s := b.sessions[id]
	if s == nil || s["status"] != "open" {
		b.t.Errorf("page %s is not open", page)
		return
	}
	i, is := s["payment_intent"].(string)
	if !is {
		i = b.id("pi")
		b.intents[i] = thing{"id": i, "object": "payment_intent", "status": "requires_payment_method", "amount": s["amount_total"], "currency": "usd",
			"amount_received": 0, "metadata": s["metadata"], "customer": s["customer"]}
		s["payment_intent"] = i
	}
	b.intents[i]["payment_method"] = card
	if b.cards[card] != "good" && b.cards[card] != "3ds" { // here the customer can confirm
		b.intents[i]["last_payment_error"] = thing{"type": "card_error", "code": "card_declined", "message": "Your card was declined."}
		return
	}
	b.take(b.intents[i])
	s["status"], s["payment_status"] = "complete", "paid"
}

func (b *bank) refund(r *http.Request, shape thing) (thing, *refused) {
	amount, _ := strconv.Atoi(r.Form.Get("amount"))
	i := b.intents[r.Form.Get("payment_intent")]
	if i == nil {
		return nil, missing
	}
	left := i["amount_received"].(int)
	for _, x := range b.refunds {
		if x["payment_intent"] == i["id"] {
			left -= x["amount"].(int)
		}
	}
	if amount > left {
		return nil, &refused{status: 400, kind: "invalid_request_error", code: "charge_already_refunded", message: "Refund amount is greater than unrefunded amount on charge"}
	}
	id := b.id("re")
	b.refunds[id] = with(shape, thing{"id": id, "object": "refund", "status": "succeeded", "amount": amount, "currency": "usd",
		"payment_intent": i["id"], "metadata": metadata(r.Form, "metadata", nil)})
	return b.refunds[id], nil
}
