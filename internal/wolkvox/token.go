package wolkvox

import "fmt"

// MaxTokenLen is the longest token that is accepted, in bytes. The vendor's are
// far shorter; the cap keeps a pasted file out of a header.
const MaxTokenLen = 512

// ValidToken says whether a text can be a wolkvox token at all: 1 to [MaxTokenLen]
// printable ASCII characters without white space. The vendor publishes no format,
// so nothing more is asked. The error is a [*TokenError], which never shows the text.
func ValidToken(tok string) error {
	switch {
	case tok == "":
		return &TokenError{Reason: "it is empty"}
	case len(tok) > MaxTokenLen:
		return &TokenError{Reason: fmt.Sprintf("it is longer than %d bytes", MaxTokenLen)}
	}
	for i := range len(tok) {
		switch c := tok[i]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			return &TokenError{Reason: "it has white space in it"}
		case c < ' ' || c == 0x7f:
			return &TokenError{Reason: "it has a control character in it"}
		case c > 0x7f:
			return &TokenError{Reason: "it has a character outside of ASCII in it"}
		}
	}
	return nil
}

// TokenError says why a text can't be a token, without showing it.
type TokenError struct {
	Reason string // what is wrong with it, such as "it is empty"
}

func (e *TokenError) Error() string { return "wolkvox: not a token: " + e.Reason }
