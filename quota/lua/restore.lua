-- Puts back what a journal remembers of a token: leases that have not ended, and the
-- requests counted on days. It only adds: a lease that is there stays, a count never
-- becomes smaller. Atomic.
-- KEYS[1] prefix of the token's bucket, with its hash tag
-- ARGV[1] token  [2] number of leases, then for each: nonce, its end ms
-- ARGV[..] then for each day: label, requests, when the count may go, ms
-- Reply: {leases that have not ended, now ms}
local now = quota.now()
local token, slots, held, last = ARGV[1], KEYS[1] .. 'slots:' .. ARGV[1], 0, 0
local at = 3
for _ = 1, tonumber(ARGV[2]) do
  local ends = tonumber(ARGV[at + 1])
  if ends > now then
    redis.call('ZADD', slots, 'NX', int(ends), ARGV[at])
    held = held + 1
    last = math.max(last, ends)
  end
  at = at + 2
end
if held > 0 then
  last = math.max(last, tonumber(redis.call('ZREVRANGE', slots, 0, 0, 'WITHSCORES')[2]))
  redis.call('PEXPIREAT', slots, int(last + 1000))
end
while at <= #ARGV do
  local key = KEYS[1] .. 'used:' .. token .. ':' .. ARGV[at]
  if (tonumber(redis.call('GET', key)) or 0) < tonumber(ARGV[at + 1]) and tonumber(ARGV[at + 2]) > now then
    redis.call('SET', key, ARGV[at + 1])
    redis.call('PEXPIREAT', key, ARGV[at + 2])
  end
  at = at + 3
end
return { held, int(now) }
