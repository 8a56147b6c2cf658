-- What a token has used today and may still use. Changes nothing.
-- KEYS[1] prefix of the token's bucket, with its hash tag
-- ARGV[1] token  [2..15] settings
-- Reply: {used, licences, slots held, waiters, cooling until ms, why, probe ms,
--         now ms, next day ms (after the guard)}
return quota.peek(KEYS[1], ARGV[1], quota.settings(2), quota.now())
