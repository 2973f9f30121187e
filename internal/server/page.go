package server

import (
	"encoding/base64"
	"strconv"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
)

// A cursor is where the next page begins: the key of the last item of this one,
// in a form that callers do not read. What is listed is listed in the order of
// its key, so pages neither skip nor repeat what was there all the time.

var cursors = base64.RawURLEncoding

func cursorOf(key string) *string {
	text := cursors.EncodeToString([]byte("1" + key)) // 1 is the form of cursors
	return &text
}

// cursorText is the key that a cursor holds; "" for the first page.
func cursorText(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	key, err := cursors.DecodeString(cursor)
	if err != nil || len(key) == 0 || key[0] != '1' {
		return "", badCursor()
	}
	return string(key[1:]), nil
}

// cursorNumber is the number that a cursor holds; 0 for the first page.
func cursorNumber(cursor string) (int64, error) {
	key, err := cursorText(cursor)
	if err != nil || key == "" {
		return 0, err
	}
	n, err := strconv.ParseInt(key, 10, 64)
	if err != nil || n < 0 {
		return 0, badCursor()
	}
	return n, nil
}

func badCursor() error {
	return fault.At("cursor", "is none of ours: leave it out for the first page, or send the next_cursor of the page before")
}

// paged is a page of a list, from one snapshot: find looks up what comes behind the last key
// of the page before, "" for the first.
func paged[O any](r *reading, cursor string, find func(tx *db.Tx, last string) (api.List[O], error)) (list api.List[O], err error) {
	last, err := cursorText(cursor)
	if err != nil {
		return list, err
	}
	err = r.view(func(tx *db.Tx) (err error) {
		list, err = find(tx, last)
		return err
	})
	return list, err
}

// page turns what was found into a page: one more than the limit was asked for,
// to know whether there is a next page.
func page[T, O any](found []T, limit int, key func(T) string, onWire func(T) (O, error)) (api.List[O], error) {
	list := api.List[O]{Items: make([]O, 0, min(len(found), limit))}
	for i, item := range found {
		if i == limit {
			list.NextCursor = cursorOf(key(found[limit-1]))
			break
		}
		out, err := onWire(item)
		if err != nil {
			return list, err
		}
		list.Items = append(list.Items, out)
	}
	return list, nil
}

// at is the pointer of the i-th item under a pointer.
func at(pointer string, i int) string { return pointer + "/" + strconv.Itoa(i) }

// newest is the page of the books that a request asks for, newest first.
func newest(p api.Page) ledger.Page {
	return ledger.Page{Limit: p.Limit, Cursor: p.Cursor, Newest: true}
}

// listed turns a page of the books into one of the wire.
func listed[T, O any](found []T, next string, onWire func(T) (O, error)) (api.List[O], error) {
	list := api.List[O]{Items: make([]O, 0, len(found))}
	for _, item := range found {
		out, err := onWire(item)
		if err != nil {
			return list, err
		}
		list.Items = append(list.Items, out)
	}
	if next != "" {
		list.NextCursor = &next
	}
	return list, nil
}
