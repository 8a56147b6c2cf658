package wolkvox

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Request is one attempt. It prints without its token, in every format.
type Request struct {
	// Server is where the token's operation lives.
	Server Server
	// Token is the secret that names the operation, sent in the wolkvox-token
	// header and nowhere else.
	Token string `json:"-"`
	// ID is sent as X-Request-ID, "<call id>.<attempt>"; it is not sent if it
	// is empty. Printable ASCII, at most 200 bytes.
	ID string
	// WriteBy is the moment by which the request's first byte must have been
	// written; after it the request is dropped as not sent. It should come
	// from time.Now, so that it has the monotonic clock. Zero: only the
	// client's time-out is a limit.
	WriteBy time.Time
}

// Format prints the request without its token, whatever the verb.
func (r Request) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "wolkvox request "+r.ID+" to server "+string(r.Server))
}

const maxIDLen = 200

var errID = fmt.Errorf("request ID is not printable ASCII of at most %d bytes", maxIDLen)

func (r *Request) validate() error {
	if !r.Server.canonical() {
		return &ServerError{Reason: "it is not in canonical form"}
	}
	if err := ValidToken(r.Token); err != nil {
		return fmt.Errorf("wolkvox: not a token: %w", err)
	}
	if len(r.ID) > maxIDLen || strings.ContainsFunc(r.ID, func(c rune) bool { return c < ' ' || c > '~' }) {
		return errID
	}
	return nil
}

// Answer is the vendor's answer that the operation succeeded.
type Answer struct {
	Status int    // HTTP status: 200, 201 or 202
	Code   int    // the envelope's code: 200, 201 or 202
	Msg    string // the envelope's msg, made safe to print, at most 300 bytes

	data string // the envelope's data, JSON as received; "" for none
}

// MaxTokenLen is the longest token that is accepted, in bytes. The vendor's are
// far shorter; the cap keeps a pasted file out of a header.
const MaxTokenLen = 512

// ValidToken says whether a text can be a wolkvox token at all: 1 to [MaxTokenLen]
// printable ASCII characters without white space. The vendor publishes no format,
// so nothing more is asked. The error says what is wrong with it, such as "it is empty",
// and never shows the text.
func ValidToken(tok string) error {
	switch {
	case tok == "":
		return errors.New("it is empty")
	case len(tok) > MaxTokenLen:
		return fmt.Errorf("it is longer than %d bytes", MaxTokenLen)
	}
	for i := range len(tok) {
		switch c := tok[i]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			return errors.New("it has white space in it")
		case c < ' ' || c == 0x7f:
			return errors.New("it has a control character in it")
		case c > 0x7f:
			return errors.New("it has a character outside of ASCII in it")
		}
	}
	return nil
}
