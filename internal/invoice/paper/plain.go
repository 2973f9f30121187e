package paper

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Another version of a compressor may write other bytes for the same font, and a document
// must not change with it. So what the library has compressed is written out again, plain,
// and the table of objects with it.

var (
	objectEnd   = []byte("endobj\n")
	tableStart  = []byte("xref\n")
	packed      = []byte("/Filter /FlateDecode\n")
	streamStart = []byte("stream\n")
	lengthOf    = []byte("/Length ")
	trailerMark = []byte("trailer\n")
	startMark   = []byte("startxref\n")
)

var errForm = errors.New("the PDF has not the form that was expected")

// inflated is a PDF as the library writes it, without compression.
func inflated(in []byte) ([]byte, error) {
	table, err := tableOf(in)
	if err != nil {
		return nil, err
	}
	offsets, err := offsetsOf(in[table:])
	if err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(make([]byte, 0, 4*len(in)))
	out.Write(in[:offsets[0]])
	moved := make([]int, len(offsets))
	for i, begin := range offsets {
		end := table
		if i+1 < len(offsets) {
			end = offsets[i+1]
		}
		moved[i] = out.Len()
		if err := writeObject(out, in[begin:end]); err != nil {
			return nil, err
		}
	}
	begin := out.Len()
	fmt.Fprintf(out, "xref\n0 %d\n0000000000 65535 f \n", len(moved)+1)
	for _, at := range moved {
		fmt.Fprintf(out, "%010d 00000 n \n", at)
	}
	trailer, _, ok := bytes.Cut(in[table:], startMark)
	at := bytes.Index(trailer, trailerMark)
	if !ok || at < 0 {
		return nil, errForm
	}
	out.Write(trailer[at:])
	fmt.Fprintf(out, "startxref\n%d\n%%%%EOF\n", begin)
	return out.Bytes(), nil
}

// tableOf is where the table of objects begins.
func tableOf(in []byte) (int, error) {
	at := bytes.LastIndex(in, startMark)
	if at < 0 {
		return 0, errForm
	}
	digits, _, _ := bytes.Cut(in[at+len(startMark):], []byte("\n"))
	table, err := strconv.Atoi(string(digits))
	if err != nil || table < 0 || table >= len(in) || !bytes.HasPrefix(in[table:], tableStart) {
		return 0, errForm
	}
	return table, nil
}

// offsetsOf are where the objects begin.
func offsetsOf(table []byte) (offsets []int, err error) {
	lines := bytes.Split(table, []byte("\n"))
	for _, line := range lines[min(3, len(lines)):] { // behind the heading and the free entry
		if len(line) < 10 || !bytes.HasSuffix(line, []byte(" n ")) {
			break
		}
		at, err := strconv.Atoi(string(line[:10]))
		if err != nil {
			return nil, errForm
		}
		offsets = append(offsets, at)
	}
	if len(offsets) == 0 {
		return nil, errForm
	}
	return offsets, nil
}

// writeObject writes an object; a compressed stream plain, with its new length.
func writeObject(out *bytes.Buffer, object []byte) error {
	head, data, isStream := bytes.Cut(object, streamStart)
	if !isStream || !bytes.Contains(head, packed) {
		out.Write(object)
		return nil
	}
	r, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("read a stream of the PDF: %w", err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read a stream of the PDF: %w", err)
	}
	before, rest, ok := bytes.Cut(bytes.Replace(head, packed, nil, 1), lengthOf)
	_, after, ok2 := bytes.Cut(rest, []byte("\n"))
	if !ok || !ok2 {
		return errForm
	}
	out.Write(before)
	fmt.Fprintf(out, "/Length %d\n", len(plain))
	out.Write(after)
	out.Write(streamStart)
	out.Write(plain)
	out.WriteString("\nendstream\n")
	out.Write(objectEnd)
	out.WriteString("\n")
	return nil
}
