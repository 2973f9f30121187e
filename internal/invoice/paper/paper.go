// Package paper draws documents as PDF.
//
// What it keeps true: the same document gives the same bytes, whenever and wherever it is
// drawn: the fonts are in the program, nothing is compressed, and no instant but those of
// the document stands in the file. What draws a format that was issued once is not
// changed; another look is another format.
package paper

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/signintech/gopdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"

	"github.com/purserhq/purser/internal/invoice"
)

// Draw is a document as PDF.
func Draw(doc *invoice.Document) ([]byte, error) {
	if doc.Format != 1 {
		return nil, fmt.Errorf("draw document %s: its format %d is not known here", doc.ID, doc.Format)
	}
	s, err := newSheet(doc)
	if err != nil {
		return nil, fmt.Errorf("draw document %s: %w", doc.ID, err)
	}
	s.head()
	if doc.Kind == invoice.Statement {
		s.accounts()
	} else {
		s.bill()
	}
	out, err := s.finish()
	if err != nil {
		return nil, fmt.Errorf("draw document %s: %w", doc.ID, err)
	}
	return out, nil
}

// The page is A4, in points.
const (
	width, height = 595.28, 841.89
	left, right   = 56.0, width - 56.0
	top, bottom   = 56.0, height - 84.0
)

// The fonts: they have Latin, Greek and Cyrillic letters.
const (
	regular = "regular"
	bold    = "bold"
)

// fonts are read once.
var fonts = sync.OnceValues(func() (*gopdf.FontContainer, error) {
	c := new(gopdf.FontContainer)
	if err := c.AddTTFFontData(regular, goregular.TTF); err != nil {
		return nil, err
	}
	return c, c.AddTTFFontData(bold, gobold.TTF)
})

// mark is something that is drawn on a page: a text on its base line, or a line without one.
type mark struct {
	x, y, to float64
	text     string
	style    style
}

// style is how a text looks: black is 0.
type style struct {
	font string
	size float64
	gray uint8
}

var (
	body    = style{regular, 9.5, 0}
	strong  = style{bold, 9.5, 0}
	small   = style{regular, 8, 90}
	heading = style{bold, 20, 0}
	section = style{bold, 12, 0}
)

// leading is the height of a line of text.
func (s style) leading() float64 { return s.size * 1.35 }

// sheet lays a document out: first all pages, so that each can say how many there are.
type sheet struct {
	doc   *invoice.Document
	pdf   *gopdf.GoPdf
	pages [][]mark
	y     float64 // what is drawn next begins below it
	again func()  // draws the head of a table that goes on on another page
	err   error
}

func newSheet(doc *invoice.Document) (*sheet, error) {
	container, err := fonts()
	if err != nil {
		return nil, err
	}
	s := &sheet{doc: doc, pdf: new(gopdf.GoPdf)}
	s.pdf.Start(gopdf.Config{PageSize: gopdf.Rect{W: width, H: height}})
	s.pdf.SetNoCompression()
	for _, name := range []string{regular, bold} {
		if err := s.pdf.AddTTFFontFromFontContainer(name, container); err != nil {
			return nil, err
		}
	}
	s.turn()
	return s, nil
}

// turn begins a page.
func (s *sheet) turn() {
	s.pages = append(s.pages, nil)
	s.y = top
	if s.again != nil {
		s.again()
	}
}

// room turns the page if what comes next does not fit.
func (s *sheet) room(height float64) {
	if s.y+height > bottom {
		s.turn()
	}
}

func (s *sheet) put(m mark) {
	last := len(s.pages) - 1
	s.pages[last] = append(s.pages[last], m)
}

// rule draws a line over the page.
func (s *sheet) rule(gray uint8) {
	s.put(mark{x: left, y: s.y, to: right, style: style{gray: gray}})
}

// text draws one line of text from x on; with its end at x if it is flush right.
func (s *sheet) text(x, y float64, text string, of style, isRight bool) {
	text = s.known(text, of)
	if text == "" {
		return
	}
	if isRight {
		x -= s.measure(text, of)
	}
	s.put(mark{x: x, y: y + of.size, text: text, style: of})
}

// measure is the width of a text.
func (s *sheet) measure(text string, of style) float64 {
	s.use(of)
	w, err := s.pdf.MeasureTextWidth(text)
	s.note(err)
	return w
}

func (s *sheet) use(of style) { s.note(s.pdf.SetFont(of.font, "", of.size)) }

func (s *sheet) note(err error) {
	if s.err == nil {
		s.err = err
	}
}

// finish draws all pages, each with its number and the footer.
func (s *sheet) finish() ([]byte, error) {
	s.again = nil
	for i := range s.pages {
		s.foot(i)
	}
	for _, marks := range s.pages {
		s.pdf.AddPage()
		for _, m := range marks {
			s.draw(m)
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	s.pdf.SetInfo(gopdf.PdfInfo{Title: title(s.doc), Author: s.doc.Seller.Name, Creator: "Purser"})
	var out bytes.Buffer
	if _, err := s.pdf.WriteTo(&out); err != nil {
		return nil, err
	}
	return inflated(out.Bytes())
}

func (s *sheet) draw(m mark) {
	if m.text == "" {
		s.pdf.SetLineWidth(0.5)
		s.pdf.SetStrokeColor(m.style.gray, m.style.gray, m.style.gray)
		s.pdf.Line(m.x, m.y, m.to, m.y)
		return
	}
	s.use(m.style)
	s.pdf.SetTextColor(m.style.gray, m.style.gray, m.style.gray)
	s.pdf.SetXY(m.x, m.y)
	s.note(s.pdf.Text(m.text))
}

// foot is what stands below every page.
func (s *sheet) foot(page int) {
	s.pages[page] = append(s.pages[page], mark{x: left, y: bottom + 14, to: right, style: style{gray: 170}})
	y := bottom + 18
	add := func(x float64, text string, isRight bool) {
		text = s.known(text, small)
		if text == "" {
			return
		}
		if isRight {
			x -= s.measure(text, small)
		}
		s.pages[page] = append(s.pages[page], mark{x: x, y: y + small.size, text: text, style: small})
	}
	add(right, fmt.Sprintf("%s    page %d of %d", s.doc.Number, page+1, len(s.pages)), true)
	for i, line := range s.wrap(s.doc.Footer, right-left-150, small) {
		if i == maxFooter {
			break
		}
		add(left, line, false)
		y += small.leading()
	}
}

// maxFooter is how many lines of the seller's footer have room.
const maxFooter = 4
