-- Takes the delivery that is due first, under a lease. A worker that does not say in time what became of it loses it to
-- another.
-- KEYS[1] prefix of the outbox  ARGV[1] receiver  [2] lease, ms  [3] nonce of the lease
-- ARGV[4] how long the receiver's keys stay, ms
-- Reply: {id, tries with this one, body}; empty: none is due
local P, R = KEYS[1], ARGV[1]
redis.call('ZREM', P .. 'due:' .. R, '') -- Redis may be full: a write that needs no memory comes first
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local id = redis.call('ZRANGEBYSCORE', P .. 'due:' .. R, '-inf', now, 'LIMIT', 0, 1)[1]
if not id then return {} end
local meta, body = redis.call('HGET', P .. 'meta:' .. R, id), redis.call('HGET', P .. 'body:' .. R, id)
if not (meta and body) then
  redis.call('ZREM', P .. 'due:' .. R, id)
  redis.call('ZREM', P .. 'age:' .. R, id)
  return {}
end
local m = cjson.decode(meta)
m.n, m.k = m.n + 1, ARGV[3]
redis.call('HSET', P .. 'meta:' .. R, id, cjson.encode(m))
redis.call('ZADD', P .. 'due:' .. R, now + tonumber(ARGV[2]), id)
for _, name in ipairs({ 'meta:', 'body:', 'due:', 'age:' }) do redis.call('PEXPIRE', P .. name .. R, ARGV[4]) end
return { id, tostring(m.n), body }
