package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// Entry is a line of the journal: an accepted command, and, if it came with an
// idempotency key, the digest of the request and the answer it was given. An
// entry of kind "request" holds an answer only.
type Entry struct {
	No      int64
	At      int64
	Kind    string
	Command string // canonical JSON
	Route   string
	Key     string
	Digest  string
	Status  int
	Answer  string
	Hash    string
}

// request is the kind of an entry that was written for its answer alone.
const request = "request"

// Request is what came with an idempotency key. The key counts within its route
// and wallet; without a workspace, within the organization; without either,
// within the installation.
type Request struct {
	Organization string
	Workspace    string
	Route        string
	Key          string // "" for a request that may be done again
	Body         []byte
	Digest       string // that of the body, if it was not kept ([BodyDigest])
}

func (r *Request) digest() string {
	if r.Digest != "" {
		return r.Digest
	}
	return BodyDigest(r.Body)
}

// Answer is what a request was answered.
type Answer struct {
	Status   int
	Body     []byte // JSON
	Replayed bool   // the answer of the first request with this key
}

// key names an idempotency key.
type key struct {
	ID
	route, key string
}

// journal appends a command to the wallet's journal.
func (s *set) journal(b *book, at int64, command any) error {
	kind, text, err := encodeCommand(command)
	if err != nil {
		return err
	}
	s.enter(b, &Entry{At: at, Kind: kind, Command: text})
	b.at = at
	return nil
}

func (s *set) enter(b *book, e *Entry) {
	e.No = b.nextEntry
	b.nextEntry++
	b.entries = append(b.entries, e)
	s.touch(b)
}

// Once answers a request: it runs do, and keeps its answer in the journal beside
// what it did, or gives the answer that an earlier request with the same key
// got. The same key with another body is refused with idempotency_mismatch. Only
// successes are kept: after an error the key may be used again.
func (l *Ledger) Once(tx *db.Tx, r Request, do func() (status int, answer any, err error)) (Answer, error) {
	if r.Key == "" {
		return run(do)
	}
	s, id := l.set(tx), ID{r.Organization, r.Workspace}
	name, digest := key{id, r.Route, r.Key}, r.digest()
	if tx.IsAgain() || l.recent.has(name) {
		if answer, found, err := s.earlier(tx, name, digest); found || err != nil {
			return answer, err
		}
	} else if e := s.keys[name]; e != nil {
		return e.answer(digest)
	}
	before := s.entriesOf(id)
	answer, err := run(do)
	if err != nil && fault.Of(err) != nil { // perhaps because it was done before, or just now
		if _, found, err := s.earlier(tx, name, digest); err != nil {
			return Answer{}, err
		} else if found { // and half of it may have been done again
			return Answer{}, tx.Again()
		}
	}
	if err != nil {
		return Answer{}, err
	}
	tx.Touch()
	return answer, s.keep(tx, name, digest, answer, before)
}

// earlier is the answer that a key was given before. Looking costs a statement, on
// PostgreSQL a trip, so Once does without where the key was not used lately: if it was
// used before, it spoils the batch, by the unique index of the journal, and the batch that
// runs again looks.
func (s *set) earlier(tx *db.Tx, name key, digest string) (answer Answer, found bool, err error) {
	e, err := s.answered(tx, name)
	if err != nil || e == nil {
		return Answer{}, false, err
	}
	answer, err = e.answer(digest)
	return answer, true, err
}

// answer is the answer that the entry holds, for a request with the same body.
func (e *Entry) answer(digest string) (Answer, error) {
	if e.Digest != digest {
		return Answer{}, fault.New(fault.Invalid, "the idempotency key %q was used with another body: use a new key for a new request", e.Key).
			WithCode("idempotency_mismatch")
	}
	return Answer{e.Status, []byte(e.Answer), true}, nil
}

func run(do func() (int, any, error)) (Answer, error) {
	status, answer, err := do()
	if err != nil {
		return Answer{}, err
	}
	if body, isJSON := answer.(json.RawMessage); isJSON {
		return Answer{Status: status, Body: body}, nil
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return Answer{}, fmt.Errorf("encode the answer: %w", err)
	}
	return Answer{Status: status, Body: body}, nil
}

// answered finds the entry that holds the answer for a key.
func (s *set) answered(tx *db.Tx, k key) (*Entry, error) {
	if e := s.keys[k]; e != nil {
		return e, nil
	}
	e, found, err := one(tx, func(r db.Scanner) (*Entry, error) {
		e := Entry{Key: k.key}
		return &e, r.Scan(&e.Digest, &e.Status, &e.Answer)
	}, `SELECT digest, status, answer FROM journal`+inWallet+` AND route = $3 AND key = $4`, k.Organization, k.Workspace, k.route, k.key)
	if err != nil || !found {
		return nil, fault.While("look up an idempotency key", err)
	}
	return e, nil
}

// entriesOf is how many entries of the journal this batch has to write.
func (s *set) entriesOf(id ID) int {
	b := s.bare[id]
	if id.Workspace != "" {
		b = s.ledger.shelf.get(id)
	}
	if b == nil {
		return 0
	}
	return len(b.entries)
}

// keep puts an answer on the last entry that was made for it, or on one of its
// own.
func (s *set) keep(tx *db.Tx, k key, digest string, answer Answer, before int) error {
	b, err := s.bookOf(tx, k.ID)
	if err != nil {
		return err
	}
	if len(b.entries) == before {
		s.enter(b, &Entry{At: tx.Now(), Kind: request})
	}
	e := b.entries[len(b.entries)-1]
	e.Route, e.Key, e.Digest, e.Status, e.Answer = k.route, k.key, digest, answer.Status, string(answer.Body)
	s.keys[k] = e
	s.ledger.recent.add(k)
	return nil
}

// bookOf is the wallet, or the journal of requests to an organization or to the
// installation, which has no wallet.
func (s *set) bookOf(tx *db.Tx, id ID) (*book, error) {
	if id.Workspace != "" {
		return s.open(tx, id)
	}
	if b := s.bare[id]; b != nil {
		return b, nil
	}
	b, err := loadBare(tx, id)
	if err != nil {
		return nil, fault.While("read the head of the journal of "+id.String(), err)
	}
	s.bare[id] = b
	return b, nil
}

func canonical(body []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more behind the JSON")
	}
	return json.Marshal(normal(value))
}

// normal brings the numbers of a value into one form.
func normal(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			v[name] = normal(v[name])
		}
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
	case json.Number:
		return json.Number(credit.Plain(v.String()))
	}
	return value
}
