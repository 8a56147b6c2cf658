-- Pauses a schedule, or lets it go on from its next tick. Atomic. Works when Redis is full.
-- KEYS[1] prefix of the schedule
-- ARGV[1] '1' pauses, '0' resumes  [2] next tick, ms, '' none; for a schedule that was paused
-- Reply: 1 it was done, 0 it was so already, -1 there is no schedule
local at = now()
if not get('version') then return -1 end
if (get('paused') or '0') == ARGV[1] then return 0 end
redis.call('HDEL', S, '')
redis.call('HSET', S, 'paused', ARGV[1], 'changed', int(at))
if ARGV[1] == '0' then redis.call('HSET', S, 'next', ARGV[2]) end
change()
return 1
