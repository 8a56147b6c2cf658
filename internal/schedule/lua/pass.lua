-- Writes down that there is no run for a tick, and moves the next one on. Atomic.
-- KEYS[1] prefix of the schedule
-- ARGV[1] version that was decided upon  [2] next tick, ms, '' none  [3] the run, JSON
-- ARGV[4] '1': a run that was asked for is passed over
-- Reply: 1, 0 if the schedule has changed
local at = now()
if get('version') ~= ARGV[1] or get('claim') then return 0 end
redis.call('HSET', S, 'next', ARGV[2])
if ARGV[4] == '1' then redis.call('HDEL', S, 'ask_at', 'ask_batch', 'ask_overlap') end
remember(ARGV[3], at)
change()
return 1
