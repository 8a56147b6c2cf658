-- Takes over a run whose worker is gone, or gave it back. Atomic: one worker gets it.
-- KEYS[1] prefix of the schedule
-- ARGV[1] number of the claim  [2] lease, ms
-- Reply: the claim's new number, 0 if its lease has not ended or it is another's
local at = now()
if not holds(ARGV[1]) or tonumber(get('claim_until')) > at then return '0' end
local number = fresh('claims')
redis.call('HSET', S, 'claim', number, 'claim_until', int(at + tonumber(ARGV[2])))
change()
return number
