package wolkvox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
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

// Operation is one of the vendor's calls. Calls with a body or parameters of their own are not made yet.
type Operation struct {
	Method string // no method is ever sent twice, GET included
	Script string // the file under /api/v2/
	API    string // the value of the query's api parameter
}

// EnableModule enables the operation that the token names. It has no parameters
// and no body, and answers {"code": 202, "error": null, "msg": "The ... module has
// been successfully enabled"} (vendor's documents). What it answers if the
// operation is enabled already is not known; success is assumed.
var EnableModule = Operation{http.MethodPut, "configuration.php", "enable_module"}

// TokenInfo asks for the vendor's own count of a token. It costs one request itself
// (vendor's documents). It is a GET, which net/http would send again on a connection that
// died; this client sends it at most once, like every operation.
var TokenInfo = Operation{http.MethodGet, "information.php", "token_info"}

// TokenUse is the vendor's own count of a token.
type TokenUse struct {
	Limit int // requests of a day (token_limit)
	Used  int // of them today, this one included (token_use_today)
}

// AskTokenUse makes one request of TokenInfo. Its errors are those of Do; an answer
// without the count is an [*UnreadableError].
func (c *Client) AskTokenUse(ctx context.Context, r *Request) (TokenUse, error) {
	ans, err := c.Do(ctx, TokenInfo, r)
	if err != nil {
		return TokenUse{}, err
	}
	use, ok := tokenUse([]byte(ans.data))
	if !ok {
		return TokenUse{}, &UnreadableError{Status: ans.Status, Reason: "it does not tell token_limit and token_use_today"}
	}
	return use, nil
}

// tokenUse reads the answer's data: an object, or a list of one (how they are held is not
// documented), with numbers as strings or as they are.
func tokenUse(data []byte) (TokenUse, bool) {
	type info struct {
		Limit json.RawMessage `json:"token_limit"`
		Used  json.RawMessage `json:"token_use_today"`
	}
	var one info
	var list []info
	if json.Unmarshal(data, &list) == nil && len(list) == 1 {
		one = list[0]
	} else if json.Unmarshal(data, &one) != nil {
		return TokenUse{}, false
	}
	limit, ok := numberOf(one.Limit)
	used, ok2 := numberOf(one.Used)
	return TokenUse{limit, used}, ok && ok2
}
