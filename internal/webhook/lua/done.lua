-- Notes what became of a delivery that was taken. If it was delivered, it is removed, whoever has its lease by now; all
-- else is fenced by the nonce of the lease.
-- KEYS[1] prefix of the outbox  ARGV[1] receiver  [2] event's id  [3] nonce
-- ARGV[4] delivered | failed | back (it was not tried)  [5] what went wrong, ''
-- ARGV[6] first delay, ms; it doubles with each try  [7] the longest delay, ms
-- ARGV[8] how long after the event it is tried, ms  [9] how many that were given up are kept
-- Reply: delivered | failed | back | given_up | stale
local P, R, id = KEYS[1], ARGV[1], ARGV[2]
redis.call('ZREM', P .. 'due:' .. R, '') -- Redis may be full: a write that needs no memory comes first
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local text = redis.call('HGET', P .. 'meta:' .. R, id)
if not text then return 'stale' end
local function remove()
  redis.call('HDEL', P .. 'meta:' .. R, id)
  redis.call('HDEL', P .. 'body:' .. R, id)
  redis.call('ZREM', P .. 'due:' .. R, id)
  redis.call('ZREM', P .. 'age:' .. R, id)
end
if ARGV[4] == 'delivered' then
  remove()
  return 'delivered'
end
local m = cjson.decode(text)
if m.k ~= ARGV[3] then return 'stale' end
m.k = ''
local at = now
if ARGV[4] == 'back' then
  m.n = m.n - 1
else
  m.e = ARGV[5]
  at = now + math.min(tonumber(ARGV[6]) * 2 ^ math.min(m.n - 1, 30), tonumber(ARGV[7]))
  if at > m.at + tonumber(ARGV[8]) then
    remove()
    redis.call('LPUSH', P .. 'lost', cjson.encode({ r = R, id = id, t = m.t, at = m.at, n = m.n, e = m.e, gone = now }))
    redis.call('LTRIM', P .. 'lost', 0, ARGV[9] - 1)
    return 'given_up'
  end
end
redis.call('HSET', P .. 'meta:' .. R, id, cjson.encode(m))
redis.call('ZADD', P .. 'due:' .. R, at, id)
return ARGV[4]
