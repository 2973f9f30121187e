package server

import (
	"encoding/json"
	"io"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/purserhq/purser/api"
)

// The groups of calls, in the order in which the description shows them.
const (
	tagAccounts = "Accounts"
	tagTenants  = "Organizations and workspaces"
	tagPeople   = "Members, invitations and tokens"
	tagCredits  = "Credits"
	tagCodes    = "Campaigns and codes"
	tagPayments = "Payments"
	tagFlows    = "Flows"
	tagHolds    = "Holds"
	tagUsage    = "Usage"
	tagBooks    = "Books"
	tagJobs     = "Jobs"
	tagProjects = "Projects"
	tagBudgets  = "Budgets and events"
	tagWebhooks = "Alerts and webhooks"
	tagPrices   = "Prices"
	tagInvoices = "Invoices and tax"
	tagPlans    = "Plans and contracts"
	tagServer   = "Server"
)

// contractVersion is the version of the contract, which only grows.
const contractVersion = "1"

// description is the API's description but for its calls.
func description() huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Purser", Version: contractVersion,
				Description: "Prepaid credits for GPU capacity. Amounts are decimal strings with at most nine places, quantities " +
					"with at most six, instants RFC 3339 in UTC with at most nine fractional digits, durations whole seconds. " +
					"{workspace} is an id or a slug: org for the default workspace of org, org.workspace for another. " +
					"Errors are problems (RFC 9457).",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer": {Type: "http", Scheme: "bearer", Description: "An API token, that of a session, or the operator's."},
				},
			},
			Tags: []*huma.Tag{
				{Name: tagAccounts}, {Name: tagTenants}, {Name: tagPeople}, {Name: tagCredits}, {Name: tagCodes}, {Name: tagPayments}, {Name: tagFlows}, {Name: tagHolds},
				{Name: tagUsage}, {Name: tagBooks}, {Name: tagJobs}, {Name: tagProjects}, {Name: tagBudgets}, {Name: tagWebhooks}, {Name: tagPrices}, {Name: tagPlans}, {Name: tagInvoices},
				{Name: tagServer},
			},
		},
		OpenAPIPath:   "/openapi",
		Formats:       map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat}, // the second is for +json
		DefaultFormat: "application/json",
	}
}

var jsonFormat = huma.Format{Marshal: marshal, Unmarshal: json.Unmarshal}

func marshal(w io.Writer, v any) error {
	if text, isJSON := v.(json.RawMessage); isJSON { // as the books have it
		_, err := w.Write(append(text[:len(text):len(text)], '\n'))
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// describeTypes tells the description what the types of amounts and the like
// hold, which the contract keeps as text.
func (s *Server) describeTypes() {
	s.schemas().RegisterTypeAlias(reflect.TypeFor[api.Amount](), reflect.TypeFor[amountText]())
	s.schemas().RegisterTypeAlias(reflect.TypeFor[api.Quantity](), reflect.TypeFor[quantityText]())
	s.schemas().RegisterTypeAlias(reflect.TypeFor[api.Instant](), reflect.TypeFor[instantText]())
}

// The bounds of the texts of numbers and instants; what they say exactly is
// checked where they are read.
const (
	maxNumberText  = 40
	maxInstantText = 50
)

type (
	amountText   string
	quantityText string
	instantText  string
)

// Schema describes an amount.
func (amountText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "decimal", MaxLength: intPointer(maxNumberText)}
}

// Schema describes a quantity: text, or in requests a number.
func (quantityText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "a decimal number, as text or as a JSON number",
		OneOf: []*huma.Schema{
			{Type: huma.TypeString, Format: "decimal", MaxLength: intPointer(maxNumberText)},
			{Type: huma.TypeNumber},
		},
	}
}

// Schema describes an instant.
func (instantText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", MaxLength: intPointer(maxInstantText)}
}

// describeNulls says which fields of answers may be null: pointers that are not
// left out when they are nil.
func (s *Server) describeNulls() {
	for name, schema := range s.schemas().Map() {
		t := s.schemas().TypeFromRef("#/components/schemas/" + name)
		if t == nil || t.Kind() != reflect.Struct {
			continue
		}
		for _, f := range reflect.VisibleFields(t) {
			field, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			p := schema.Properties[field]
			if p != nil && f.Type.Kind() == reflect.Pointer && !strings.Contains(options, "omitempty") && p.Ref == "" {
				p.Nullable = true
			}
		}
	}
}

// operationOf finds a registered call in the description.
func (s *Server) operationOf(c call) *huma.Operation {
	var found *huma.Operation
	walkOperations(s.api.OpenAPI(), func(path, method string, op *huma.Operation) {
		if path == c.path && method == c.method {
			found = op
		}
	})
	return found
}
