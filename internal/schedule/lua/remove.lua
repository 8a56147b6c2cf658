-- Removes a schedule with its rows and history. Atomic. A run that is being enqueued ends
-- where it is; what it enqueued belongs to its batch and stays. Works when Redis is full.
-- KEYS[1] prefix of the schedule
-- Reply: 1, 0 if there was none
local was = redis.call('HMGET', S, 'version', 'revision', 'claim_revision', 'claim_first')
if not was[1] then return 0 end
for i = 2, 3 do
  if was[i] then redis.call('UNLINK', P .. 'rows:' .. was[i]) end
end
if was[4] then redis.call('UNLINK', P .. 'passed:' .. was[4]) end
redis.call('UNLINK', P .. 'runs')
redis.call('DEL', S)
return 1
