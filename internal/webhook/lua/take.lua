-- Takes deliveries that are due, each under a lease: who does not say in time what became of it loses it to another.
-- KEYS[1] prefix of the outbox  ARGV[1] receiver  [2] how many at most  [3] lease, ms  [4] nonce of the leases
-- ARGV[5] how long the receiver's keys stay, ms
-- Reply: {id, tries with this one, body} for each
local P, R = KEYS[1], ARGV[1]
redis.call('ZREM', P .. 'due:' .. R, '') -- Redis may be full: a write that needs no memory comes first
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local reply = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'due:' .. R, '-inf', now, 'LIMIT', 0, ARGV[2])) do
  local meta, body = redis.call('HGET', P .. 'meta:' .. R, id), redis.call('HGET', P .. 'body:' .. R, id)
  if meta and body then
    local m = cjson.decode(meta)
    m.n, m.k = m.n + 1, ARGV[4]
    redis.call('HSET', P .. 'meta:' .. R, id, cjson.encode(m))
    redis.call('ZADD', P .. 'due:' .. R, now + tonumber(ARGV[3]), id)
    reply[#reply + 1] = { id, m.n, body }
  else
    redis.call('ZREM', P .. 'due:' .. R, id)
    redis.call('ZREM', P .. 'age:' .. R, id)
  end
end
if #reply > 0 then
  for _, name in ipairs({ 'meta:', 'body:', 'due:', 'age:' }) do redis.call('PEXPIRE', P .. name .. R, ARGV[5]) end
end
return reply
