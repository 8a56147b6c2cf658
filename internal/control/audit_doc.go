// Package actionlog keeps what people decided: who did what, to what, by which way, with
// which result, and when.
//
// It is one stream in Redis, PREFIX:actions, of the last Capacity entries or a few more. Its times are those of
// Redis. Writing works where Redis is full, as decisions do. An entry is written after
// what it tells of: one that could not be written is for the caller to log. It never
// holds a token.
package control
