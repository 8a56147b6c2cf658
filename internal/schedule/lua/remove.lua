-- Removes a schedule with its rows and history. Atomic. A run that is being enqueued ends
-- where it is; what it enqueued belongs to its batch and stays. Works when Redis is full.
-- KEYS[1] prefix of the schedule
-- Reply: the batch of the run that was being enqueued, or was asked for, '' for none; nil if there was no schedule
local was = redis.call('HMGET', S, 'version', 'revision', 'claim_revision', 'claim_first', 'claim_batch', 'ask_batch')
if not was[1] then return false end
for i = 2, 3 do
  if was[i] then redis.call('UNLINK', P .. 'rows:' .. was[i]) end
end
if was[4] then redis.call('UNLINK', P .. 'passed:' .. was[4]) end
redis.call('UNLINK', P .. 'runs')
redis.call('DEL', S)
return was[5] or was[6] or ''
