// Package api is the HTTP API under /v1: what producers in any language need to
// enqueue calls, and what programs for people need to see and to decide. openapi.yaml
// describes it, and is served at /v1/openapi.yaml and .json. The tests check every request
// and answer against it. docs/http-api.md explains the API in words.
//
// # Guarantees
//
//   - 202 means that the call, or every row that is not named as rejected, is in the
//     ledger and will be made.
//   - A call under an Idempotency-Key has one id for IdempotencyLife (or RETENTION, if that is shorter), so sending
//     it again makes no second one; another body under the same key is refused.
//   - A batch is read as it comes, in constant memory. What was acknowledged before a
//     connection broke stays; sending all of it again adds only what is missing.
//   - A decision (retry, skip, cancel) returns after the counts show what it did, and is
//     in the audit log with the caller's name.
//   - Bad input is answered with 4xx and what is wrong with it, in problem details
//     (RFC 9457). No answer holds a token, or the value of a wrong field.
//
// # Failures
//
// If Redis is away, the answer is 503 with Retry-After, and it is not known whether what
// was sent got in: send it again, under its id or key. If Redis is full, the answer is 507
// with Retry-After; reading and deciding go on.
//
// Package guard decides who asks, and whether they may, before a request comes here.
package api
