package wolkvox

import (
	"context"
	"encoding/json"
	"net/http"
)

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
