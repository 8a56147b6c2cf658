-- Frees the slot of a request that no chain made, and lets the chain that waited longest
-- for it run. Atomic.
-- KEYS[1] prefix of the bucket
-- ARGV[1] token  [2] nonce of the grant  [3] slots of a token
-- ARGV[4] '' or the days (as granted) to take the request off: only for one that certainly
--         was not sent
-- Reply: {now ms, 1 where the slot was still its own, 1 where a chain is ready}
local now = quota.now()
outcome_first()
local held
if ARGV[4] == '' then
  held = quota.release(P, ARGV[1], ARGV[2])
else
  held = quota.give_back(P, ARGV[1], ARGV[2], ARGV[4])
end
local c = wake(ARGV[1], tonumber(ARGV[3]), now)
local woken = c and c.id and 1 or 0
if woken == 1 then set_ready(c, now) end
return { now, held and 1 or 0, woken }
