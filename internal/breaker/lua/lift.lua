-- Closes the breaker of a server, as a person says. Atomic.
-- KEYS[1] the hash of servers
-- ARGV[1] server
-- Reply: 1 where it was open, 0 where it was closed, -1 where the server is not known
redis.call('HDEL', KEYS[1], '') -- Redis may be full: a write that needs no memory comes first
local raw = redis.call('HGET', KEYS[1], ARGV[1])
if not raw then return -1 end
local s = cjson.decode(raw)
if s.state == 'closed' then return 0 end
local t = redis.call('TIME')
s.state, s.since, s.next, s.step, s.run, s.chains = 'closed', t[1] * 1000 + math.floor(t[2] / 1000), 0, 0, 0, ''
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(s))
return 1
