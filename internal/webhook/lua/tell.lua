-- Notes that something was told, and writes its event into the outbox, in one step: neither comes without the other.
-- KEYS[1] prefix of the outbox, "habilita:{webhooks}:"
-- ARGV[1] field of the mark, '' none  [2] the mark as it was read, '' none  [3] the new mark, '' none any more
-- ARGV[4] deliveries that may wait for a receiver  [5] how long a receiver's keys stay, ms
-- ARGV[6] event's id, '' no event  [7] type  [8] body  then the receivers
-- Reply: {1, or 0 if the mark has changed since it was read: nothing was done then, deliveries that were dropped}
local P = KEYS[1]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if ARGV[1] ~= '' then
  local have = redis.call('HGET', P .. 'told', ARGV[1]) or ''
  if have ~= ARGV[2] then return { 0, 0 } end
  if ARGV[3] == '' then
    redis.call('HDEL', P .. 'told', ARGV[1])
  else
    redis.call('HSET', P .. 'told', ARGV[1], ARGV[3])
  end
end
if ARGV[6] == '' then return { 1, 0 } end
local id, dropped = ARGV[6], 0
for i = 9, #ARGV do
  local meta, body = P .. 'meta:' .. ARGV[i], P .. 'body:' .. ARGV[i]
  local due, age = P .. 'due:' .. ARGV[i], P .. 'age:' .. ARGV[i]
  if redis.call('HEXISTS', meta, id) == 0 then
    redis.call('HSET', meta, id, cjson.encode({ t = ARGV[7], at = now, n = 0, k = '', e = '' }))
    redis.call('HSET', body, id, ARGV[8])
    redis.call('ZADD', due, now, id)
    redis.call('ZADD', age, now, id)
    while redis.call('ZCARD', age) > tonumber(ARGV[4]) do
      local oldest = redis.call('ZPOPMIN', age)[1]
      redis.call('ZREM', due, oldest)
      redis.call('HDEL', meta, oldest)
      redis.call('HDEL', body, oldest)
      dropped = dropped + 1
    end
    for _, key in ipairs({ meta, body, due, age }) do redis.call('PEXPIRE', key, ARGV[5]) end
  end
end
return { 1, dropped }
