package wolkvox

import (
	"errors"
	"html"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"habilita/internal/say"
)

// maxText is the most that is kept of one of the vendor's texts, in bytes.
const maxText = 300

// safeText makes a text that came from outside fit to print: valid UTF-8 on one
// line, without control and formatting characters, without the token, and cut to
// 300 bytes. It removes the characters that could hide the token first, then the
// token, and cuts last: a cut before could leave half of the token.
func safeText(s, token string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
	s = hideToken(strings.TrimSpace(s), token)
	if len(s) <= maxText {
		return s
	}
	return say.Cut(s, maxText-len("...")) + "..."
}

// hideToken writes [token] wherever the token stands, in any case, as it is or escaped. A text
// that has it escaped comes back unescaped.
func hideToken(s, token string) string {
	if token == "" {
		return s
	}
	s = replaceFold(s, token, "[token]")
	if !strings.ContainsAny(s, `\%&`) { // nearly all texts: nothing is escaped without one of these
		return s
	}
	plain, bare := unescape(s), unescape(token)
	if bare == "" { // a token of backslashes alone
		return s
	}
	if hidden := replaceFold(plain, bare, "[token]"); hidden != plain {
		return hidden
	}
	return s
}

// escape is a character as JSON, a URL (once or more often) or HTML escapes it, or backslashes.
var escape = regexp.MustCompile(`(?i)(?:\\+u00|%(?:25)*)[2-7][0-9a-f]|&(?:#x?[0-9a-f]+|lt|gt|amp|quot|apos);|\\+`)

// unescape writes the characters that a token can have as they are, and leaves out backslashes.
func unescape(s string) string {
	return escape.ReplaceAllStringFunc(s, func(e string) string {
		c := html.UnescapeString(e)
		if n, err := strconv.ParseUint(e[max(0, len(e)-2):], 16, 8); err == nil {
			c = string(rune(n))
		}
		if c = strings.TrimLeft(c, `\`); len(c) > 1 || c != "" && (c <= " " || c > "~") {
			return e // no character of a token
		}
		return c
	})
}

// replaceFold replaces every old, an ASCII text, in any case.
func replaceFold(s, old, with string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		if len(s)-i >= len(old) && strings.EqualFold(s[i:i+len(old)], old) {
			out.WriteString(with)
			i += len(old)
			continue
		}
		out.WriteByte(s[i])
		i++
	}
	return out.String()
}

// safeError is err itself if its text is fit to print, else its text alone, made
// fit: net/http puts the parts of an answer that it can't parse into its errors.
func safeError(err error, token string) error {
	text := err.Error()
	if safe := safeText(text, token); safe != text {
		return errors.New(safe)
	}
	return err
}
