package account

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"github.com/trustelem/zxcvbn"

	"github.com/purserhq/purser/internal/fault"
)

// The limits of a password.
const (
	minPassword = 10  // characters
	MaxPassword = 256 // characters; more would only cost time
	judged      = 72  // characters that its strength is judged by
	minScore    = 3   // of zxcvbn, 0 to 4: at least 10^8 guesses
)

// params are those that OWASP recommends for argon2id with little memory: what waits
// for a login is a person, and several hash at once.
var params = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// nobody is the hash that a password is compared with where there is no account: the
// same work is done. Nothing is its password.
var nobody = func() string {
	hash, err := argon2id.CreateHash(newSecret(""), params)
	if err != nil {
		panic(fmt.Sprintf("account: %s", err)) // a fault of the parameters above
	}
	return hash
}()

// CheckPassword refuses a password that is soon guessed: one that is short, common,
// a pattern of the keyboard, or made of what is known of the person.
func CheckPassword(pointer, password string, known ...string) error {
	n := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password):
		return fault.At(pointer, "is no text")
	case n < minPassword:
		return fault.At(pointer, "is too short: use at least %d characters, such as four words that do not belong together", minPassword)
	case n > MaxPassword:
		return fault.At(pointer, "is too long: use at most %d characters", MaxPassword)
	}
	var words []string
	for _, text := range known {
		words = append(words, strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return strings.ContainsRune("@.-_+ ", r) })...)
	}
	words = append(append(words, known...), "purser")
	if zxcvbn.PasswordStrength(string([]rune(password)[:min(n, judged)]), words).Score < minScore {
		return fault.At(pointer, "is too easy to guess: avoid common passwords, names, dates and rows of keys; "+
			"four words that do not belong together are good, and so is what a password manager makes").WithCode("weak_password")
	}
	return nil
}

// Hash is what a password is kept as. It waits until hashing is its turn.
func (a *Accounts) Hash(ctx context.Context, password string) (hash string, err error) {
	if err := a.hashing.enter(ctx, false); err != nil {
		return "", err
	}
	defer a.hashing.leave(false)
	if hash, err = argon2id.CreateHash(password, params); err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return hash, nil
}

// compare reports whether a password has the hash, in the same time for one that
// has none.
func (a *Accounts) compare(ctx context.Context, password, hash string, isFamiliar bool) (bool, error) {
	if err := a.hashing.enter(ctx, isFamiliar); err != nil {
		return false, err
	}
	defer a.hashing.leave(isFamiliar)
	kept := hash
	if kept == "" {
		kept = nobody
	}
	same, err := argon2id.ComparePasswordAndHash(password, kept)
	if err != nil {
		return false, fmt.Errorf("compare a password: %w", err)
	}
	return same && hash != "", nil
}

// maxWaiting is how many may wait in a lane; who comes then is asked to come again.
const maxWaiting = 32

// lanes bound how much is hashed at once, so that nobody who guesses takes the
// machine. Who comes from where the account was used before has a lane of its own.
type lanes struct{ familiar, others lane }

type lane struct{ waiting, running chan struct{} }

func newLanes() lanes {
	one := func(n int) lane { return lane{make(chan struct{}, n+maxWaiting), make(chan struct{}, n)} }
	return lanes{familiar: one(1), others: one(max(1, runtime.GOMAXPROCS(0)/2))}
}

func (l *lanes) lane(isFamiliar bool) lane {
	if isFamiliar {
		return l.familiar
	}
	return l.others
}

func (l *lanes) enter(ctx context.Context, isFamiliar bool) error {
	in := l.lane(isFamiliar)
	select {
	case in.waiting <- struct{}{}:
	default:
		return fault.New(fault.Unavailable, "too many sign in at once: try again in a moment").WithCode("busy")
	}
	select {
	case in.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-in.waiting
		return ctx.Err()
	}
}

func (l *lanes) leave(isFamiliar bool) {
	in := l.lane(isFamiliar)
	<-in.running
	<-in.waiting
}
