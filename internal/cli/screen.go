package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// screen is where a job's output and what purser says of it meet. The output
// goes to stdout untouched. If stderr is a terminal a live line is kept below;
// then, if stdout is one too, output is shown line by line above it.
type screen struct {
	mu       sync.Mutex
	out, err io.Writer
	live     bool // a line is kept
	shared   bool // output and line are on the same terminal
	quiet    bool // nothing is said
	width    func() int
	line     string // as it is drawn
	pending  []byte // output after the last line end
}

// maxPending is how much of an unfinished line of output is kept back.
const maxPending = 4096

func newScreen(out, err io.Writer) *screen {
	s := &screen{out: out, err: err, width: func() int { return 80 }}
	if file, ok := terminal(err); ok && os.Getenv("TERM") != "dumb" {
		_, s.shared = terminal(out)
		s.live = true
		s.width = func() int {
			width, _, sizeErr := term.GetSize(int(file.Fd()))
			if sizeErr != nil || width < 20 {
				return 80
			}
			return width
		}
	}
	return s
}

// terminal reports whether w is one.
func terminal(w any) (*os.File, bool) {
	file, ok := w.(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd()))
}

// Write takes output of the job.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shared {
		return s.out.Write(p)
	}
	s.pending = append(s.pending, p...)
	end := bytes.LastIndexByte(s.pending, '\n') + 1
	if end == 0 && len(s.pending) > maxPending {
		s.pending = append(s.pending[bytes.LastIndexByte(s.pending, '\r')+1:], '\n')
		end = len(s.pending)
	}
	if end > 0 {
		s.erase()
		if _, err := s.out.Write(s.pending[:end]); err != nil {
			return 0, err
		}
		s.pending = append([]byte(nil), s.pending[end:]...)
		s.redraw()
	}
	return len(p), nil
}

// say writes a line of purser's own.
func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quiet {
		return
	}
	s.erase()
	fmt.Fprintf(s.err, "purser: "+format+"\n", args...)
	s.redraw()
}

// draw replaces the live line.
func (s *screen) draw(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live || s.quiet {
		return
	}
	if runes := []rune(line); len(runes) > s.width()-1 {
		line = string(runes[:s.width()-1])
	}
	s.line = line
	fmt.Fprint(s.err, "\r", line, "\x1b[K")
}

// close removes the live line and lets go of what was kept back.
func (s *screen) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.live = false
	if len(s.pending) > 0 {
		fmt.Fprintf(s.out, "%s\n", strings.TrimSuffix(string(s.pending), "\r"))
		s.pending = nil
	}
	s.shared = false
}

func (s *screen) erase() {
	if s.live && s.line != "" {
		fmt.Fprint(s.err, "\r\x1b[K")
	}
}

func (s *screen) redraw() {
	if s.live && s.line != "" {
		fmt.Fprint(s.err, s.line)
	}
}
