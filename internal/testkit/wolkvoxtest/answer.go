package wolkvoxtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

const (
	typeJSON = "application/json; charset=utf-8"
	typeHTML = "text/html; charset=utf-8"
)

// answer is a response that is still to be written. The envelope's "code" is rendered late, since the seed decides its
// style.
type answer struct {
	status      int
	header      map[string]string
	contentType string

	body string // used if code is 0

	code     int // the envelope's; 0 means that there is none
	err, msg string
	data     any // of the envelope; nil means none
}

func envelope(code int, err, msg string) answer {
	return answer{status: code, contentType: typeJSON, code: code, err: err, msg: msg}
}

func page(status int) answer {
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return answer{
		status: status, contentType: typeHTML,
		body: "<html>\r\n<head><title>" + text + "</title></head>\r\n<body>\r\n<center><h1>" + text + "</h1></center>\r\n</body>\r\n</html>\r\n",
	}
}

// render makes the answer's body.
func (a answer) render(codeAsString bool) []byte {
	if a.code == 0 {
		return []byte(a.body)
	}
	env := struct {
		Code  any     `json:"code"`
		Error *string `json:"error"`
		Msg   string  `json:"msg"`
		Data  any     `json:"data,omitempty"`
	}{Code: a.code, Msg: a.msg, Data: a.data}
	if codeAsString {
		env.Code = strconv.Itoa(a.code)
	}
	if a.err != "" {
		env.Error = &a.err
	}
	b, err := json.Marshal(env)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return b
}

// spoil returns what the fault makes of the answer to a good request. The writer sees to faults of the connection.
func (f Fault) spoil(good answer) answer {
	a := good
	switch f.Kind {
	case Status500:
		a = envelope(http.StatusInternalServerError, "INTERNAL SERVER ERROR", "SOMETHING WENT WRONG")
	case Status502:
		a = page(http.StatusBadGateway)
	case Status503:
		a = page(http.StatusServiceUnavailable)
	case TooMany:
		a = page(http.StatusTooManyRequests)
		a.header = map[string]string{"Retry-After": defaultBackoff}
	case TokenLimit:
		a = forbidden(msgTokenLimit)
	case Simultaneous:
		a = forbidden(msgSimultaneous)
	case BadToken:
		a = forbidden(msgBadToken)
	case Maintenance:
		a = forbidden(msgMaintenance)
	case HTML:
		a = answer{status: http.StatusOK, contentType: typeHTML, body: "<!DOCTYPE html><html><body><h1>We will be back soon</h1></body></html>"}
	case Redirect:
		a = answer{status: http.StatusTemporaryRedirect, header: map[string]string{"Location": "/moved"}, contentType: typeHTML}
	case Empty:
		a = answer{status: good.status, contentType: typeJSON}
	case Garbage:
		a = answer{status: good.status, contentType: typeJSON, body: `{"code": 202, "error": nul<br /><b>Warning</b>: mysqli_query()`}
	case WrongType:
		a.contentType = typeHTML
	case Oversized:
		a.msg += strings.Repeat("x", oversized-len(a.render(false)))
	case None, Cut, BOM, ResetBefore, ResetAfter, Slow, Drip: // the answer is right, if it comes
	default:
		a = envelope(http.StatusInternalServerError, "NO SUCH FAULT", fmt.Sprintf("THE SIMULATOR KNOWS NO FAULT %q", f.Kind))
	}
	if f.RetryAfter != "" {
		a.header = map[string]string{"Retry-After": f.RetryAfter}
	}
	return a
}

func forbidden(msg string) answer { return envelope(http.StatusForbidden, "FORBIDDEN", msg) }
