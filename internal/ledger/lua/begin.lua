-- Begins a run: the fence (the dispatch number), the slot, the quota and the attempt in
-- one step. Executed again with the same nonce, it answers as before. A task whose number
-- is not the chain's, or whose chain runs, does nothing. If the chain does not take the slot
-- for which it was woken, for a reason of its own, the next one that waits is dispatched.
-- KEYS, ARGV see jointly. The same every time: quota's settings. Each time:
-- id       the chain
-- number   its dispatch number
-- nonce    of the attempt
-- servers  whose calls are put off: '<server>=<until ms> ' each, '<server>=full ' if the worker has
--          no place left there; '' for none
-- Reply: as finish
local now, s = quota.now(), quota.settings(2)
outcome_first()
return jointly(function(id, number, nonce, servers)
  local c = load_chain(id)
  local again = repeated(c, nonce)
  if again then return reply_of(now, nil, nil, again) end
  if not c or c[C.state] ~= STATE.dispatched or c[C.number] ~= number then return reply_of(now, nil, nil, { 'stale' }) end
  local started, other = begin(c, nonce, s, now, servers)
  return reply_of(now, other, nil, started)
end)
