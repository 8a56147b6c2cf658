-- Puts back what a write-ahead log has of tokens of one bucket: leases that have not ended,
-- and the requests counted on days. It only adds: a lease that is there stays, and a count
-- never becomes smaller. Atomic.
-- KEYS[1] prefix of the tokens' bucket, with its hash tag
-- ARGV[..] for each token: its name, number of leases, number of days;
--         then for each lease: nonce, its end ms;
--         then for each day: label, requests, when the count may go, ms
-- Reply: {leases that have not ended, now ms}
local now, held, at = quota.now(), 0, 1
local keys, counts, ends = {}, {}, {} -- of days

local function restore_leases(token, many)
  local slots, last = KEYS[1] .. 'slots:' .. token, 0
  for _ = 1, many do
    local ends = tonumber(ARGV[at + 1])
    if ends > now then
      redis.call('ZADD', slots, 'NX', int(ends), ARGV[at])
      held = held + 1
      last = math.max(last, ends)
    end
    at = at + 2
  end
  if last > 0 then
    last = math.max(last, tonumber(redis.call('ZREVRANGE', slots, 0, 0, 'WITHSCORES')[2]))
    redis.call('PEXPIREAT', slots, int(last + 1000))
  end
end

local function note_days(token, many)
  for _ = 1, many do
    if tonumber(ARGV[at + 2]) > now then
      keys[#keys + 1] = KEYS[1] .. 'used:' .. token .. ':' .. ARGV[at]
      counts[#keys], ends[#keys] = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    end
    at = at + 3
  end
end

while at < #ARGV do
  local token, leases, days = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  at = at + 3
  restore_leases(token, leases)
  note_days(token, days)
end
if keys[1] then
  for i, count in ipairs(redis.call('MGET', unpack(keys))) do
    if (tonumber(count) or 0) < counts[i] then
      redis.call('SET', keys[i], counts[i], 'PX', int(ends[i] - now))
    end
  end
end
return { held, int(now) }
