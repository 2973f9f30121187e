package server

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/campaign"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/sheet"
)

//go:embed cards.html
var cardsText string

var cards = template.Must(template.New("cards").Parse(cardsText))

// cardsPolicy lets a page of cards have its style, and nothing else.
const cardsPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'"

type printing struct {
	CampaignPath
	api.CodesQuery
}

// printCall registers the call that makes codes. They are told after the commit, once,
// and never kept, so an answer that broke off is not given again: those codes are revoked
// and others made.
func (s *Server) printCall() {
	c := ofOperator("create-codes", "POST", "/v1/campaigns/{campaign}/codes", "Make codes",
		"Up to 10,000, as JSON, CSV, or cards to print. They are told once and kept nowhere: if the answer did not arrive whole, revoke them by their numbers.")
	c.status, c.repeatable = 201, true
	body := schemaOf[api.NewCodes](s)
	op := c.operation()
	op.Middlewares = huma.Middlewares{s.admit(c), s.readBody(c)}
	text := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	op.Responses = map[string]*huma.Response{"201": {
		Description: "The codes.",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: schemaOf[api.MadeCodes](s)}, "text/csv": text, "text/html": text},
	}}
	huma.Register(s.api, op, func(ctx context.Context, p *printing) (*huma.StreamResponse, error) {
		made, codes, err := s.makeCodes(ctx, c, p, body)
		if err != nil {
			return nil, s.failed(ctx, err)
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			_, w := humago.Unwrap(hctx)
			if err := s.print(w, p.Format, made, codes); err != nil {
				s.log.WarnContext(ctx, "codes were not told whole", "request_id", requestID(ctx), "campaign", made.Slug, "error", err)
				panic(http.ErrAbortHandler) // whoever reads it sees that it is not whole
			}
		}}, nil
	})
	s.describeBody(c, body)
	s.describeAudit(c)
}

// makeCodes makes codes in a unit of work whose answer, which is kept, has none of them.
func (s *Server) makeCodes(ctx context.Context, c call, p *printing, schema *huma.Schema) (made campaign.Campaign, codes []campaign.Made, err error) {
	if _, err := s.enter(ctx, c, p); err != nil {
		return made, nil, err
	}
	var b api.NewCodes
	if err := decode(s.schemas(), schema, bodyOf(ctx), &b); err != nil {
		return made, nil, err
	}
	if (b.Count == 0) == (b.Code == "") {
		return made, nil, fault.At("/count", "says how many codes to make, or code which one: give one of the two")
	}
	_, err = s.update(ctx, c, p, ledger.Request{Body: bodyOf(ctx)}, func(u *unit) (any, error) {
		if b.Code != "" {
			made, codes, err = u.campaigns.Choose(u.tx, p.Campaign, b.Code)
		} else {
			made, codes, err = u.campaigns.Make(u.tx, p.Campaign, b.Count)
		}
		return campaignOnWire(made, u.tx.Now()), err
	})
	return made, codes, err
}

// print writes codes in a form, one after the other.
func (s *Server) print(w http.ResponseWriter, format string, c campaign.Campaign, codes []campaign.Made) error {
	media, write := "application/json", printJSON
	switch format {
	case "csv":
		media, write = "text/csv; charset=utf-8", printCSV
	case "html":
		media, write = "text/html; charset=utf-8", s.printCards
		w.Header().Set("Content-Security-Policy", cardsPolicy)
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Cache-Control", "no-store")
	noDeadline(w)
	w.WriteHeader(http.StatusCreated)
	return write(w, c, codes)
}

func printJSON(w io.Writer, c campaign.Campaign, codes []campaign.Made) error {
	if _, err := fmt.Fprintf(w, `{"campaign":%q,"items":[`, c.Slug); err != nil {
		return err
	}
	for i, code := range codes {
		text, err := json.Marshal(api.NewCode{No: code.No, Code: code.Code.Print()})
		if err != nil {
			return err
		}
		if i > 0 {
			text = append([]byte(",\n"), text...)
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "]}\n")
	return err
}

func printCSV(w io.Writer, _ campaign.Campaign, codes []campaign.Made) error {
	out := sheet.NewWriter(w)
	err := out.Write("no", "code")
	for i := 0; err == nil && i < len(codes); i++ {
		err = out.Write(strconv.FormatInt(codes[i].No, 10), codes[i].Code.Print())
	}
	return errors.Join(err, out.Flush())
}

// card is what is printed for one code. The link has the code behind the #, which
// browsers send to nobody.
type card struct {
	No         int64
	Code, Link string
}

func (s *Server) printCards(w io.Writer, c campaign.Campaign, codes []campaign.Made) error {
	return cards.Execute(w, map[string]any{
		"Name": c.Name, "Amount": c.Amount.String(), "Until": day(c.Until), "ExpiresAt": day(c.ExpiresAt), "ExpiresDays": c.ExpiresDays,
		"Page": s.url + "/redeem",
		"Cards": func(yield func(card) bool) {
			for _, code := range codes {
				if text := code.Code.Print(); !yield(card{code.No, text, s.url + "/redeem#" + text}) {
					return
				}
			}
		},
	})
}

// day is the day of an instant, for people; "" for none.
func day(at int64) string {
	if at == 0 {
		return ""
	}
	return api.At(at).Time().Format("2 January 2006")
}
