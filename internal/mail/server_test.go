package mail

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// post is a mail server on this machine, with a mood.
type post struct {
	testing.TB
	*smtp.Server
	address string
	roots   *tls.Config

	mu       sync.Mutex
	got      []received
	rcpt     []error // what the next recipients are answered; nil takes them
	cuts     int     // connections that are cut after the mail was taken
	slow     time.Duration
	password string // "" for none
}

type received struct{ from, to, raw string }

// listenLow listens on a port of this machine that no outgoing connection can have.
func listenLow(t testing.TB) net.Listener {
	t.Helper()
	for port := 21000; port < 32768; port++ {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return l
		}
	}
	t.Fatal("no port is free")
	return nil
}

// newPost starts a mail server. With a certificate it offers STARTTLS, or TLS from the
// first byte.
func newPost(t testing.TB, isTLS, isImplicit bool) *post {
	t.Helper()
	p := &post{TB: t}
	p.Server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{post: p, conn: c}, nil }))
	p.Domain, p.ErrorLog, p.AllowInsecureAuth, p.EnableSMTPUTF8 = "localhost", quiet{}, true, true
	l := listenLow(t)
	p.address = l.Addr().String()
	if isTLS {
		p.TLSConfig, p.roots = certificate(t)
	}
	if isImplicit {
		l = tls.NewListener(l, p.TLSConfig)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(l) }()
	t.Cleanup(func() {
		p.Close()
		if err := <-ended; err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return p
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func certificate(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	form := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	text, err := x509.CreateCertificate(rand.Reader, &form, &form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(text)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(made)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{text}, PrivateKey: key}}}, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

type session struct {
	post     *post
	conn     *smtp.Conn
	from, to string
	isKnown  bool
}

func (s *session) AuthMechanisms() []string {
	if s.post.password == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "purser" || password != s.post.password {
			return smtp.ErrAuthFailed
		}
		s.isKnown = true
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.post.password != "" && !s.isKnown {
		return smtp.ErrAuthRequired
	}
	s.from, s.to = from, ""
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	if len(s.post.rcpt) > 0 {
		answer := s.post.rcpt[0]
		s.post.rcpt = s.post.rcpt[1:]
		if answer != nil {
			return answer
		}
	}
	s.to += to + ";"
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	time.Sleep(s.post.slow)
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	s.post.got = append(s.post.got, received{s.from, s.to, string(text)})
	if s.post.cuts > 0 {
		s.post.cuts--
		return s.conn.Conn().Close()
	}
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// mails is what arrived, taken apart.
func (p *post) mails() (all []letter) {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.got {
		all = append(all, p.open(r))
	}
	return all
}

type letter struct {
	received
	id, subject, text, html string
	header                  mail.Header
}

func (p *post) open(r received) letter {
	p.Helper()
	m, err := mail.ReadMessage(strings.NewReader(r.raw))
	if err != nil {
		p.Fatal(err)
	}
	out := letter{received: r, header: m.Header, id: m.Header.Get("Message-ID")}
	if out.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		p.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		p.Fatal(err)
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			p.Fatal(err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil || part.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			p.Fatal(part.Header, err)
		}
		body := strings.ReplaceAll(string(text), "\r\n", "\n")
		switch media := part.Header.Get("Content-Type"); {
		case strings.HasPrefix(media, "text/plain; charset=UTF-8"):
			out.text = body
		case strings.HasPrefix(media, "text/html; charset=UTF-8"):
			out.html = body
		default:
			p.Fatalf("a part of type %s", media)
		}
	}
}
