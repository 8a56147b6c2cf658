-- Begins a run: the fence (the dispatch number), the slot, the quota and the attempt in
-- one step. Executed again with the same nonce, it answers as before. A task whose number
-- is not the chain's, or whose chain runs, does nothing. Where the chain does not take the
-- slot for which it was woken, for a reason of its own, the next one that waits is dispatched.
-- KEYS[1] prefix of the bucket
-- ARGV[1] chain  [2] dispatch number  [3] nonce of the attempt  [4..17] quota's settings
-- ARGV[18] servers whose calls are put off: '<server>=<until ms> ' each, '<server>=full ' if the
--          worker has no place left there; '' for none
-- Reply: {now ms, as start, chain that was dispatched or '', its dispatch number} or {now ms, {'stale'}}
local now = quota.now()
outcome_first()
local c = load_chain(ARGV[1])
local again = repeated(c, ARGV[3])
if again then return { now, again } end
if not c or c.s ~= 'f' or c.f ~= ARGV[2] then return { now, { 'stale' } } end
local reply, other = begin(c, ARGV[3], quota.settings(4), now, ARGV[18])
if other then return { now, reply, other.id, dispatch(other, now) } end
return { now, reply }
