package server

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsPage string

// serveDocs renders the API's description as one page that needs nothing from
// outside, for the machine may be offline. It is rendered once.
func (s *Server) serveDocs() http.HandlerFunc {
	page, err := renderDocs(s.api.OpenAPI())
	if err != nil {
		panic(fmt.Sprintf("server: the page of the API's description: %s", err)) // a fault of the build
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
		w.Write(page)
	}
}

// The page's view of the description.
type (
	docsView struct {
		Title, Version, Description string
		Groups                      []docsGroup
		Problems                    []problemCode
		Schemas                     []docsSchema
	}
	docsGroup struct {
		Name  string
		Calls []docsCall
	}
	docsCall struct {
		ID, Method, Path, Summary, Description, Action string
		Parameters                                     []docsField
		Body                                           template.HTML
		Answers                                        []docsAnswer
	}
	docsAnswer struct {
		Status, Description string
		Body                template.HTML
	}
	docsSchema struct {
		Name, Description string
		Fields            []docsField
	}
	docsField struct {
		Name, Where, Description string
		Type                     template.HTML
		Required                 bool
	}
)

func renderDocs(o *huma.OpenAPI) ([]byte, error) {
	view := docsView{Title: o.Info.Title, Version: o.Info.Version, Description: o.Info.Description, Problems: problemCodes}
	view.Groups = docsGroups(o)
	for _, name := range sortedSchemas(o) {
		schema := o.Components.Schemas.Map()[name]
		view.Schemas = append(view.Schemas, docsSchema{name, schema.Description, schemaFields(schema)})
	}
	t, err := template.New("docs").Parse(docsPage)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	err = t.Execute(&page, view)
	return page.Bytes(), err
}

func docsGroups(o *huma.OpenAPI) []docsGroup {
	byTag := map[string][]docsCall{}
	walkOperations(o, func(path, method string, op *huma.Operation) {
		tag := "Other"
		if len(op.Tags) > 0 {
			tag = op.Tags[0]
		}
		byTag[tag] = append(byTag[tag], docsOf(path, method, op))
	})
	var groups []docsGroup
	for _, tag := range o.Tags {
		if calls := byTag[tag.Name]; len(calls) > 0 {
			groups = append(groups, docsGroup{tag.Name, calls})
		}
	}
	return groups
}

func docsOf(path, method string, op *huma.Operation) docsCall {
	call := docsCall{ID: op.OperationID, Method: method, Path: path, Summary: op.Summary, Description: op.Description}
	call.Action, _ = op.Extensions[actionExtension].(string)
	for _, p := range op.Parameters {
		call.Parameters = append(call.Parameters, docsField{p.Name, p.In, p.Description, typeOf(p.Schema), p.Required})
	}
	if op.RequestBody != nil {
		for _, content := range op.RequestBody.Content {
			call.Body = typeOf(content.Schema)
		}
	}
	for status, answer := range op.Responses {
		a := docsAnswer{Status: status, Description: answer.Description}
		for _, content := range answer.Content {
			a.Body = typeOf(content.Schema)
		}
		call.Answers = append(call.Answers, a)
	}
	sort.Slice(call.Answers, func(i, j int) bool { return call.Answers[i].Status < call.Answers[j].Status })
	return call
}

func schemaFields(s *huma.Schema) []docsField {
	var fields []docsField
	for _, name := range sortedProperties(s) {
		p := s.Properties[name]
		fields = append(fields, docsField{Name: name, Description: p.Description,
			Type: typeOf(p), Required: slices.Contains(s.Required, name)})
	}
	return fields
}

// typeOf says in a few words what a schema admits; references become links.
func typeOf(s *huma.Schema) template.HTML {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		name := template.HTMLEscapeString(s.Ref[strings.LastIndexByte(s.Ref, '/')+1:])
		return template.HTML(`<a href="#schema-` + name + `">` + name + `</a>`)
	case s.Items != nil:
		return "list of " + typeOf(s.Items)
	case len(s.Enum) > 0:
		return template.HTML(template.HTMLEscapeString(strings.ReplaceAll(joinEnum(s.Enum), ", ", " | ")))
	case len(s.OneOf) > 0:
		var parts []string
		for _, option := range s.OneOf {
			parts = append(parts, string(typeOf(option)))
		}
		return template.HTML(strings.Join(parts, " or "))
	}
	if extra, ok := s.AdditionalProperties.(*huma.Schema); ok {
		return "map of " + typeOf(extra)
	}
	text := s.Type
	if s.Format != "" {
		text += " (" + s.Format + ")"
	}
	return template.HTML(template.HTMLEscapeString(text))
}

// walkOperations visits every operation of the description, in a stable order.
func walkOperations(o *huma.OpenAPI, visit func(path, method string, op *huma.Operation)) {
	paths := make([]string, 0, len(o.Paths))
	for path := range o.Paths {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	for _, path := range paths {
		item := o.Paths[path]
		for _, m := range []struct {
			method string
			op     *huma.Operation
		}{{"GET", item.Get}, {"POST", item.Post}, {"PUT", item.Put}, {"PATCH", item.Patch}, {"DELETE", item.Delete}} {
			if m.op != nil {
				visit(path, m.method, m.op)
			}
		}
	}
}

func sortedSchemas(o *huma.OpenAPI) []string {
	var names []string
	for name := range o.Components.Schemas.Map() {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func sortedProperties(s *huma.Schema) []string {
	var names []string
	for name := range s.Properties {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
