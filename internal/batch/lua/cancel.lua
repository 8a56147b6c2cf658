-- Notes that a batch was cancelled. Atomic. Works where Redis is full: it writes what
-- needs no memory first.
-- KEYS[1] what is known of the batch
-- Reply: 1
redis.call('HDEL', KEYS[1], '')
redis.call('HSET', KEYS[1], 'cancelled', '1')
return 1
