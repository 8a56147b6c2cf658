-- Takes a waiter out of the queue of a token. One that is not in it any more was
-- woken: its wake goes to the waiter that waited longest, where a slot is free.
-- Atomic.
-- KEYS[1] prefix of the token's bucket, with its hash tag
-- ARGV[1] token  [2] waiter  [3] slots of a token
-- Reply: {1 where it was queued, waiter that was woken or '', now ms, 1 where it is a chain,
--         whose bucket is to be signalled}
local now = quota.now()
local queued = redis.call('ZREM', KEYS[1] .. 'waiters:' .. ARGV[1], ARGV[2])
local woken, chain
if queued == 0 then woken, chain = quota.offer(KEYS[1], ARGV[1], tonumber(ARGV[3]), now) end
return { queued, woken or '', int(now), chain and 1 or 0 }
