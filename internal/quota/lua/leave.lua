-- Takes a waiter out of the queue of a token. If it is not in it any more, it was woken:
-- its wake goes to the waiter that waited longest, if a slot is free.
-- Atomic.
-- KEYS[1] prefix of the token's bucket, with its hash tag
-- ARGV[1] token  [2] waiter  [3] slots of a token
-- Reply: {1 if it was queued, waiter that was woken or '', now ms, 1 if that is a chain:
--         signal its bucket}
local now = quota.now()
local queued = redis.call('ZREM', KEYS[1] .. 'waiters:' .. ARGV[1], ARGV[2])
local woken, chain
if queued == 0 then woken, chain = quota.offer(KEYS[1], ARGV[1], tonumber(ARGV[3]), now) end
return { queued, woken or '', int(now), chain and 1 or 0 }
