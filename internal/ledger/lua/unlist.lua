-- Removes a batch from the list, unless it was made anew meanwhile. Atomic.
-- KEYS[1] the list
-- ARGV[1] batch  [2] its score, as it was seen
-- Reply: 1 it is out, 0 it is another one's
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])
