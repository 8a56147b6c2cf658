// Package guard stands before the API and the pages. It checks API keys, and finds out who asks. It
// also writes errors in the form of RFC 9457 (WriteProblem), lets bodies and answers outlive the
// server's time-outs (Body, Answer), and compresses them (Gzip, Gunzip).
//
// A key has a name, which is what logs show, and a kind: write may do everything, read
// may only look (GET and HEAD). A request sends it as "Authorization: Bearer KEY", or
// as the password of HTTP Basic under any user name, which is what browsers can do.
//
// # Without keys
//
// On a loopback address everybody on the machine is let in, as Principal "local". But
// the Host header has to name a loopback address too, or a page on the Internet whose
// name leads to 127.0.0.1 could read along (DNS rebinding). On any other address New
// returns ErrNoKeys.
//
// # What else is checked
//
// Methods that change something are refused if a browser says that they come from
// another site's page (http.CrossOriginProtection), with keys and without.
//
// # Failures
//
// 401 with a challenge, 403 for a key that may only look or a page of another site,
// 421 for a wrong Host. All of it is decided from the header alone, before a byte of
// the body is read. Wrong keys are logged with the caller's address, once a second
// at most, and never the key. They are counted in habilita_http_wrong_keys_total. If there are
// too many of them, programs get 429 with Retry-After instead of 401.
package guard
