-- Frees the slot of an attempt and wakes the waiter that waited longest and can be reached.
-- Atomic.
-- A nonce that was never granted, was freed before, or whose slot was reclaimed
-- after the end of its lease frees nothing.
-- KEYS[1] prefix of the token's bucket, with its hash tag
-- ARGV[1] token  [2] nonce  [3] slots of a token
-- ARGV[4] '' or the days (as granted) to take the request off: only for a
--         request that certainly was not sent
-- Reply: {1 if the slot was still its own, waiter that was woken or '', now ms, 1 if that
--         is a chain: signal its bucket}
local now = quota.now()
local held
if ARGV[4] == '' then
  held = quota.release(KEYS[1], ARGV[1], ARGV[2])
else
  held = quota.give_back(KEYS[1], ARGV[1], ARGV[2], ARGV[4])
end
local woken, chain = quota.offer(KEYS[1], ARGV[1], tonumber(ARGV[3]), now)
return { held and 1 or 0, woken or '', int(now), chain and 1 or 0 }
