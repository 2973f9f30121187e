package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
)

// wire is a connection that speaks as little HTTP as will do: what the client costs
// is taken from the machine that the server runs on.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body bytes.Buffer
}

func dial(address string) (*wire, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &wire{conn: c, in: bufio.NewReader(c)}, nil
}

// wires are so many connections.
func wires(address string, n int) (all []*wire, err error) {
	for range n {
		w, err := dial(address)
		if err != nil {
			return all, err
		}
		all = append(all, w)
	}
	return all, nil
}

func hangUp(all []*wire) {
	for _, w := range all {
		w.conn.Close()
	}
}

// request is one call.
type request struct {
	method, path, token, key, media, body string
}

// call sends a request and returns the body of the answer, until the next call. Any
// answer but a success is an error.
func (w *wire) call(r request) ([]byte, error) {
	b := append(w.out[:0], r.method+" "+r.path+" HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer "+r.token+"\r\n"...)
	if r.key != "" {
		b = append(b, "Idempotency-Key: "+r.key+"\r\n"...)
	}
	if r.body != "" {
		b = append(b, "Content-Type: "+r.media+"\r\nContent-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(r.body)), 10), "\r\n"...)
	}
	b = append(append(b, "\r\n"...), r.body...)
	w.out = b
	if _, err := w.conn.Write(b); err != nil {
		return nil, err
	}
	return w.answer()
}

func (w *wire) answer() ([]byte, error) {
	first, err := w.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(first) < 12 {
		return nil, fmt.Errorf("answered %q", first)
	}
	isSuccess, status := first[9] == '2', string(first)
	length := -1
	for {
		l, err := w.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(l) <= 2 {
			break
		}
		if name, value, ok := bytes.Cut(l, []byte(": ")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return nil, err
			}
		}
	}
	w.body.Reset()
	if length >= 0 {
		_, err = io.CopyN(&w.body, w.in, int64(length))
	} else if _, err = w.body.ReadFrom(httputil.NewChunkedReader(w.in)); err == nil {
		_, err = w.in.ReadSlice('\n') // behind the last chunk
	}
	if err == nil && !isSuccess {
		err = fmt.Errorf("%s%.300s", status, w.body.Bytes())
	}
	return w.body.Bytes(), err
}
