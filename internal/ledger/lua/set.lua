-- Sets a field of a batch, if the batch is there. Atomic. Works when Redis is full: it
-- writes what needs no memory first.
-- KEYS[1] what is known of the batch
-- ARGV[1] field  [2] value
-- Reply: 1 it is set, 0 there is no batch
if redis.call('HEXISTS', KEYS[1], 'name') == 0 then return 0 end
redis.call('HDEL', KEYS[1], '')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
