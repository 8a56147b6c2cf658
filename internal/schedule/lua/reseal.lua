-- Puts a chunk of rows, sealed anew, in the place of the old one. Compare and set.
-- KEYS[1] prefix of the schedule
-- ARGV[1] revision  [2] number of the chunk  [3] sealed as read  [4] sealed anew
-- Reply: 1 replaced, 0 it is not there any more
local key = P .. 'rows:' .. ARGV[1]
if redis.call('HGET', key, ARGV[2]) ~= ARGV[3] then return 0 end
redis.call('HSET', key, ARGV[2], ARGV[4])
return 1
