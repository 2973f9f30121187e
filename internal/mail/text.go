package mail

import (
	"bytes"
	"embed"
	"fmt"
	html "html/template"
	"strings"
	text "text/template"
	"time"
)

//go:embed texts
var texts embed.FS

// There is one text for each template: its first line is the subject, and what follows
// are paragraphs, of which one is the link alone. The HTML is made of the same
// paragraphs, so that the two never say different things.
var (
	plain  = text.Must(text.New("").Option("missingkey=zero").ParseFS(texts, "texts/*.txt"))
	layout = html.Must(html.ParseFS(texts, "texts/layout.html"))
)

// Rendered is a mail as people read it.
type Rendered struct{ Subject, Text, HTML string }

type part struct {
	Text   string
	IsLink bool
}

// Render makes the texts of a mail.
func Render(template string, data map[string]string) (Rendered, error) {
	var out bytes.Buffer
	if err := plain.ExecuteTemplate(&out, template+".txt", data); err != nil {
		return Rendered{}, fmt.Errorf("write a mail %s: %w", template, err)
	}
	subject, body, _ := strings.Cut(out.String(), "\n")
	r := Rendered{Subject: strings.TrimSpace(printable(subject, ""))}
	var parts []part
	var lines []string
	for paragraph := range strings.SplitSeq(body, "\n\n") {
		paragraph = strings.TrimSpace(paragraph)
		if paragraph != "" {
			parts = append(parts, part{paragraph, paragraph == data["link"]})
			lines = append(lines, paragraph)
		}
	}
	r.Text = strings.Join(lines, "\n\n") + "\n"
	out.Reset()
	err := layout.Execute(&out, struct {
		Subject string
		Parts   []part
	}{r.Subject, parts})
	if err != nil {
		return Rendered{}, fmt.Errorf("write the HTML of a mail %s: %w", template, err)
	}
	r.HTML = out.String()
	return r, nil
}

// Instant is an instant, in nanoseconds since 1970, as people read it in every mail and
// page: 27 November 2026, 22:49 UTC. What goes beyond the minute is left out.
func Instant(ns int64) string { return time.Unix(0, ns).UTC().Format("2 January 2006, 15:04 UTC") }
