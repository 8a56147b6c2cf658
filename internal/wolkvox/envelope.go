package wolkvox

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// envelope is what the vendor wraps every answer in:
// {"code": 202, "error": null, "msg": "..."}. Its texts are as received.
type envelope struct {
	code  int    // 100 to 999; 0: absent, or not a number
	fail  bool   // error says something
	err   string // error as text, JSON if it is no string
	msg   string // msg as text, JSON if it is no string
	parts bool   // code, and error or msg, are there
	data  string // data as received, JSON; "" if it is absent
}

// decodeEnvelope reads a body. fault says why it can't be read; "": it can, and is
// one JSON object. A byte order mark is skipped. The content type does not matter,
// since the vendor may get it wrong.
//
// code may be a number or a string ("code comes as a number or as a string, even
// within one page of the documents"). There is no error if error is absent, null,
// false, blank, or an empty list or object: PHP may write nothing in any of these ways.
func decodeEnvelope(body []byte) (env envelope, fault string) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(body)) == 0 {
		return envelope{}, "the body is empty"
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return envelope{}, "the body is not one JSON object"
	}
	env.code = codeOf(fields["code"])
	env.msg, _ = textOf(fields["msg"])
	env.err, env.fail = textOf(fields["error"])
	env.data = string(fields["data"])
	_, hasErr := fields["error"]
	_, hasMsg := fields["msg"]
	env.parts = env.code != 0 && (hasErr || hasMsg)
	return env, ""
}

// codeOf reads a code; 0 is none.
func codeOf(raw json.RawMessage) int {
	if n, ok := numberOf(raw); ok && n >= 100 && n <= 999 {
		return n
	}
	return 0
}

// numberOf reads a whole number up to a billion (1e9): 202, "202", 202.0.
func numberOf(raw json.RawMessage) (int, bool) {
	text := string(raw)
	if strings.HasPrefix(text, `"`) {
		if json.Unmarshal(raw, &text) != nil || !allDigits(strings.TrimSpace(text)) {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return int(f), err == nil && f == math.Trunc(f) && f >= 0 && f <= 1e9
}

// textOf is a field as text, and whether it says anything.
func textOf(raw json.RawMessage) (text string, says bool) {
	switch {
	case len(raw) == 0, string(raw) == "null":
		return "", false
	case raw[0] == '"':
		if json.Unmarshal(raw, &text) != nil {
			return "", false
		}
		return text, strings.TrimSpace(text) != ""
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return "", false
	}
	switch v := v.(type) {
	case bool:
		says = v
	case []any:
		says = len(v) > 0
	case map[string]any:
		says = len(v) > 0
	default:
		says = true
	}
	// Encoded again rather than copied, so that escapes can't hide a token: PHP
	// writes "/" as "\/".
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // it came from JSON: it can't fail
	return strings.TrimSpace(out.String()), says
}
