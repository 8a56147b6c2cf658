-- The epoch of a bucket: it tells a process whether the data is the data that it remembers.
-- It is one hash, kept with the data of the bucket and lost with it:
--   epoch  hash  e since when the data may lack what was written before (ms; 0: it never did),
--                f fingerprint of the token-ID key, r run_id of the Redis process that was seen
--                last, n looks so far
-- KEYS[1] prefix of the bucket
-- ARGV[1] 'look' or 'raise'
-- 'look'  counts the look
-- 'raise' makes an epoch, or moves one on, and never back
-- ARGV[2] the new e in ms, never after now; '' is now   ('raise')
-- ARGV[3] f and [4] r; '' leaves what is there          ('raise')
-- Reply: {now ms, e, f, r, n}, as it is afterwards; e is -1 if the bucket has no epoch.
-- Guarantees: atomic; e and n never fall while the data stays; a look makes no epoch. It works
-- when Redis is full, so that a worker can still start: it writes what needs no memory first.
local key = KEYS[1] .. 'epoch'
redis.call('HDEL', key, '')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local v = redis.call('HMGET', key, 'e', 'f', 'r', 'n')
local e, f, r, n = tonumber(v[1] or '-1'), v[2] or '', v[3] or '', tonumber(v[4] or '0')
if ARGV[1] == 'look' then
  if e >= 0 then n = redis.call('HINCRBY', key, 'n', 1) end
else
  local to = ARGV[2] == '' and now or math.min(tonumber(ARGV[2]), now)
  if to > e then e = to end
  if ARGV[3] ~= '' then f = ARGV[3] end
  if ARGV[4] ~= '' then r = ARGV[4] end
  redis.call('HSET', key, 'e', string.format('%.0f', e), 'f', f, 'r', r)
end
return { now, string.format('%.0f', e), f, r, n }
