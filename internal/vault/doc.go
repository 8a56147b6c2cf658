// Package vault keeps tokens sealed and gives them names.
//
// A token rests in Redis only as a sealed blob: AES-256-GCM under one of the
// keys of HABILITA_KEYS. The first key seals; every key opens. To change keys,
// put a new one in front, seal the blobs again (ReSeal), and remove the old one.
//
// What a blob is for (its purpose, such as the token's name) is authenticated
// with it: a blob that somebody moved to another token does not open.
//
// # Sealed format
//
//	byte 0          version, 1
//	byte 1          length n of the key's id, 1 to 16
//	2 .. 2+n        the key's id
//	next 12         nonce, random
//	rest            ciphertext and 16 bytes of tag
//
// The additional data is everything before the nonce, followed by the purpose.
// A token of 45 bytes under a key "k20261123" takes 84 bytes. Nonces are random:
// one key is good for about four billion seals (2^32).
//
// # Names
//
// A token is known elsewhere by an HMAC under a token-ID key (TokenIDs). That key is
// made once, rests sealed in Redis, and is never changed: a change would give
// every token a second name, and with it a second set of slots and quota.
//
// Everything here is safe for concurrent use. No error and no printed form of a
// type of this package holds a key or a token.
package vault
