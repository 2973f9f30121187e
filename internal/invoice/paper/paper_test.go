package paper_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/invoice/paper"
)

var update = flag.Bool("update", false, "write the golden files of a format that has not been released")

func read(t testing.TB, name string) *invoice.Document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc invoice.Document
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return &doc
}

func draw(t testing.TB, doc *invoice.Document) []byte {
	t.Helper()
	out, err := paper.Draw(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// # A document of every format that was ever issued is drawn as it was, to the last byte,
// also by many at once.
func TestGolden(t *testing.T) {
	for _, name := range []string{"1-invoice", "1-reverse-charge", "1-reverse-note", "1-credit-note", "1-statement", "1-on-account", "1-credited", "1-statement-open"} {
		doc := read(t, name)
		golden := filepath.Join("testdata", name+".pdf")
		if *update {
			if err := os.WriteFile(golden, draw(t, doc), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if got, err := paper.Draw(doc); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s is drawn with other bytes than it was, %v", name, err)
				}
			})
		}
		all.Wait()
		for _, no := range []string{"/CreationDate", "/ModDate", "FlateDecode", "/ID "} {
			if bytes.Contains(want, []byte(no)) {
				t.Errorf("%s has %s", name, no)
			}
		}
	}
}

// # The note of the law stands on a statement too; without one its bytes are what they were.
func TestNoteOnAStatement(t *testing.T) {
	doc := read(t, "1-statement")
	before := draw(t, doc)
	doc.Note = "Reverse charge"
	if after := draw(t, doc); bytes.Equal(before, after) {
		t.Error("the note is not drawn")
	}
}

// # Names and addresses of any length, letters that the font has not, and thousands of
// lines have room; a format that is not known is refused.
func TestWhatIsLarge(t *testing.T) {
	doc := read(t, "1-statement")
	short := bytes.Count(draw(t, doc), []byte("/Type /Page\n"))
	doc.Buyer.Name = strings.Repeat("Überlänge", 40)
	doc.Buyer.Address = strings.Repeat("Straße der Einheit 漢字 12\n", 30)
	doc.Footer = strings.Repeat("foot ", 400)
	doc.Reference = strings.Repeat("9", 300)
	for i := range 5000 {
		doc.Total.Lines = append(doc.Total.Lines, invoice.Line{
			Kind: "usage", Description: fmt.Sprintf("llm.model-%d.input", i), Quantity: "0.000001", Unit: "million", Amount: -1_0000000, Printed: -1_0000000,
		})
	}
	if long := bytes.Count(draw(t, doc), []byte("/Type /Page\n")); long < short+8 || long > 30 {
		t.Errorf("%d pages, before %d", long, short)
	}
	doc.Format = 99
	if _, err := paper.Draw(doc); err == nil {
		t.Error("a format of the future was drawn")
	}
}

func BenchmarkStatement(b *testing.B) {
	doc := read(b, "1-statement")
	for b.Loop() {
		draw(b, doc)
	}
}
