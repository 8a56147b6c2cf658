-- Notes which run of a batch began last, and whether it left nothing out. Atomic. A batch
-- that is gone stays gone. The end of a run is noted even if Redis is full.
-- KEYS[1] what is known of the batch
-- ARGV[1] run  [2] 1: it has read all and left nothing out, 0: it begins
-- Reply: 1
if redis.call('HEXISTS', KEYS[1], 'name') == 0 then return 1 end
if ARGV[2] == '0' then
  redis.call('HSET', KEYS[1], 'run', ARGV[1])
  redis.call('HDEL', KEYS[1], 'complete')
elseif redis.call('HGET', KEYS[1], 'run') == ARGV[1] then
  redis.call('HDEL', KEYS[1], '')
  redis.call('HSET', KEYS[1], 'complete', '1')
end
return 1
