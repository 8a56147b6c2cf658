-- Puts in place a schedule whose rows are written. If it replaces one of that name, what is
-- known of its runs stays, and so does whether it is paused. Atomic.
-- A run that is being enqueued goes on with the rows that it began with.
-- KEYS[1] prefix of the schedule
-- ARGV[1] '1': one that exists is replaced  [2] revision of the rows  [3] next tick, ms, '' none
-- ARGV[4..] pairs of field and value
-- Reply: 1, or 0 if one exists and is not to be replaced
local at = now()
local exists = get('version')
if exists and ARGV[1] ~= '1' then return 0 end
local before = get('revision')
if before and before ~= ARGV[2] then
  if get('claim_revision') == before then
    redis.call('PEXPIRE', P .. 'rows:' .. before, DAY)
  else
    redis.call('UNLINK', P .. 'rows:' .. before)
  end
end
redis.call('PERSIST', P .. 'rows:' .. ARGV[2])
redis.call('HSET', S, 'revision', ARGV[2], 'next', ARGV[3], 'changed', int(at))
redis.call('HSETNX', S, 'created', int(at))
for i = 4, #ARGV, 2 do redis.call('HSET', S, ARGV[i], ARGV[i + 1]) end
change()
return 1
