package wolkvoxtest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// The vendor's calls that are simulated, as the "api" parameter names them.
const (
	EnableModule = "enable_module"
	TokenInfoAPI = "token_info"
)

// TokenHash returns the name of a token in files and violations: 16 hex digits of its SHA-256.
func TokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}

// The violations that a request can have at its arrival (Record.Violations).
const (
	ViolationSlots          = "slots"           // more than SlotLimit in flight
	ViolationQuota          = "quota"           // more on the day than the quota, counting only what was seen here
	ViolationPath           = "path"            // a path or server that does not exist
	ViolationMethod         = "method"          // the wrong method for the api
	ViolationAPI            = "api"             // an api that is not simulated
	ViolationParameters     = "parameters"      // parameters besides "api"
	ViolationBody           = "body"            // a body, though the api takes none
	ViolationToken          = "token"           // no token, or several
	ViolationIdempotencyKey = "idempotency-key" // a header that lets net/http send a PUT again by itself
)

var methods = map[string]map[string]string{
	"/api/v2/configuration.php": {EnableModule: http.MethodPut},
	"/api/v2/information.php":   {TokenInfoAPI: http.MethodGet},
}

// The messages of the vendor's "API Response Codes" table; those marked are not in it.
const (
	msgNoAPI        = "THE API YOU WANT TO CONSULT DOES NOT EXIST"
	msgParameters   = "SOME PARAMETERS ARE REQUIRED"
	msgNoToken      = "PLEASE ENTER THE WOLKVOX-TOKEN"
	msgTokenLimit   = "TOKEN LIMIT EXCEEDED"
	msgSimultaneous = "EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN (2)"
	msgBadToken     = "PLEASE VALIDATE TOKEN"
	msgMethod       = "METHOD NOT ALLOWED"                                   // assumed
	msgMaintenance  = "API NOT AVAILABLE DURING BACKUP OR MAINTENANCE HOURS" // assumed
)

// parse reads a request and checks what needs no state. If a check failed, refusal is the answer.
func parse(r *http.Request) (req Record, refusal *answer) {
	refuse := func(violation string, a answer) {
		req.Violations = append(req.Violations, violation)
		if refusal == nil {
			refusal = &a
		}
	}
	tokens := r.Header.Values("wolkvox-token")
	if len(tokens) > 0 {
		req.Token = tokens[0]
	}
	req.RequestID = r.Header.Get("X-Request-ID")
	req.Call, req.Attempt = splitRequestID(req.RequestID)
	if len(r.Header.Values("Idempotency-Key"))+len(r.Header.Values("X-Idempotency-Key")) > 0 {
		req.Violations = append(req.Violations, ViolationIdempotencyKey)
	}

	server, path, ok := splitServer(r.Host, r.URL.Path)
	req.Server = server
	apis := methods[path]
	if !ok || apis == nil {
		refuse(ViolationPath, page(http.StatusNotFound))
		return req, refusal
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	req.API = query.Get("api")
	method, known := apis[req.API]
	if !known {
		refuse(ViolationAPI, envelope(http.StatusBadRequest, "BAD REQUEST", msgNoAPI))
	} else if r.Method != method {
		a := envelope(http.StatusMethodNotAllowed, "METHOD NOT ALLOWED", msgMethod)
		a.header = map[string]string{"Allow": method}
		refuse(ViolationMethod, a)
	}
	if err != nil || len(query) > 1 || len(query["api"]) > 1 {
		refuse(ViolationParameters, envelope(http.StatusBadRequest, "BAD REQUEST", msgParameters))
	}
	if n, _ := r.Body.Read(make([]byte, 1)); n > 0 {
		refuse(ViolationBody, envelope(http.StatusBadRequest, "BAD REQUEST", msgParameters))
	}
	if req.Token == "" || len(tokens) > 1 {
		refuse(ViolationToken, envelope(http.StatusUnauthorized, "UNAUTHORIZED", msgNoToken))
	}
	return req, refusal
}

// splitServer finds the server's four digits in the path (/wv0001/api/...), or else in the host (wv0001.example).
func splitServer(host, path string) (server, rest string, ok bool) {
	if prefix, after, found := strings.Cut(strings.TrimPrefix(path, "/"), "/"); found {
		if server, ok := fourDigits(prefix); ok {
			return server, "/" + after, true
		}
	}
	label, _, _ := strings.Cut(host, ".")
	server, ok = fourDigits(label)
	return server, path, ok
}

func fourDigits(label string) (string, bool) {
	digits, ok := strings.CutPrefix(label, "wv")
	if !ok || len(digits) != 4 || strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	return digits, true
}

// splitRequestID splits "<call id>.<attempt>" at the last dot.
func splitRequestID(id string) (call string, attempt int) {
	dot := strings.LastIndexByte(id, '.')
	if dot < 0 {
		return id, 0
	}
	n, err := strconv.Atoi(id[dot+1:])
	if err != nil || n < 0 {
		return id, 0
	}
	return id[:dot], n
}
