package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// screen is where the demo is shown: plain lines, or, on a terminal, colours and
// a line at the bottom that is redrawn.
type screen struct {
	out  io.Writer
	live bool

	mu    sync.Mutex
	below string // the line at the bottom, if there is one
}

const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	green  = "\x1b[32m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
	reset  = "\x1b[0m"
	erase  = "\r\x1b[2K"
)

func (s *screen) title(text string) {
	s.print("", "")
	s.print(bold+cyan, text)
	s.print(dim, strings.Repeat("─", len([]rune(text))))
}

func (s *screen) say(format string, args ...any) { s.print("", fmt.Sprintf(format, args...)) }
func (s *screen) good(format string, args ...any) {
	s.print(green, "✓ "+fmt.Sprintf(format, args...))
}
func (s *screen) warn(format string, args ...any) {
	s.print(yellow, "▸ "+fmt.Sprintf(format, args...))
}

// output shows a line that the job has printed.
func (s *screen) output(line string) { s.print(dim, "  │ "+line) }

// print writes one line above the line at the bottom.
func (s *screen) print(style, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.live:
		fmt.Fprintln(s.out, text)
	case style == "":
		fmt.Fprintf(s.out, "%s%s\n%s", erase, text, s.below)
	default:
		fmt.Fprintf(s.out, "%s%s%s%s\n%s", erase, style, text, reset, s.below)
	}
}

// draw replaces the line at the bottom.
func (s *screen) draw(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.below = line
	fmt.Fprint(s.out, erase, s.below)
}

// clear removes the line at the bottom.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.below != "" {
		fmt.Fprint(s.out, erase)
		s.below = ""
	}
}
