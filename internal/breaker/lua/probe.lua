-- Asks for the permission to make one request to a server that is open. Atomic: of many that
-- ask one gets it. Leave that was not used ends by itself.
-- KEYS[1] the hash of servers
-- ARGV[1] server  [2] how long the permission lasts, ms
-- Reply: 1 if it is given, 0 if not
redis.call('HDEL', KEYS[1], '') -- Redis may be full: a write that needs no memory comes first
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local raw = redis.call('HGET', KEYS[1], ARGV[1])
local s = raw and cjson.decode(raw)
if not s or s.state == 'closed' or now < s.next then return 0 end
s.state, s.next = 'half_open', now + tonumber(ARGV[2])
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(s))
return 1
