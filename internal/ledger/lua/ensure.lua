-- Creates a batch, or leaves it as it is. Atomic.
-- KEYS[1] what is known of the batch
-- ARGV[1] name  [2] policy  [3] created, ms  [4] canary tokens, '0' none  [5] path of the
--         file whose name it bears, '' none
-- Reply: 1 it is new, 0 it was there
if redis.call('HEXISTS', KEYS[1], 'name') == 1 then
  if ARGV[5] ~= '' then redis.call('HSETNX', KEYS[1], 'path', ARGV[5]) end
  return 0
end
redis.call('HSET', KEYS[1], 'name', ARGV[1], 'policy', ARGV[2], 'created', ARGV[3], 'keys', 'content')
if ARGV[4] ~= '0' then redis.call('HSET', KEYS[1], 'canary', ARGV[4]) end
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'path', ARGV[5]) end
return 1
