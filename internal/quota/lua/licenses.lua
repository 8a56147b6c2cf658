-- Sets how many licences a token has, until they are set again; chains that wait for the
-- quota look again. Atomic. Works when Redis is full: it writes what needs no memory first.
-- KEYS[1] prefix of the token's bucket, with its hash tag
-- ARGV[1] token  [2] licences
-- Reply: {now ms, 1 if chains look again: signal their bucket}
local now = quota.now()
local had = redis.call('HGET', KEYS[1] .. 'licenses', ARGV[1])
redis.call('SREM', KEYS[1] .. 'lent', ARGV[1])
redis.call('HSET', KEYS[1] .. 'licenses', ARGV[1], ARGV[2])
if had == ARGV[2] then return { int(now), 0 } end
return { int(now), quota.recall(KEYS[1], ARGV[1], 'quota', now) }
