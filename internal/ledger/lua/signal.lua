-- Says that buckets have chains to be dispatched. Atomic. A bucket that is in the list keeps its
-- place. Works when Redis is full: a decision must not fail for want of a hint.
-- KEYS[1] list of the signalled buckets
-- ARGV[1] now, ms  [2..] tags
-- Reply: how many were not signalled yet
redis.call('ZREM', KEYS[1], '')
local added = 0
for i = 2, #ARGV do added = added + redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[i]) end
return added
