-- Claims the run that a worker decided to make, and moves the next tick on. Atomic: of all
-- workers that looked at the same version, one gets it.
-- KEYS[1] prefix of the schedule
-- ARGV[1] version that was decided upon  [2] lease, ms  [3] next tick, ms, '' none
-- ARGV[4] kind  [5] tick, ms  [6] batch  [7] ticks that were missed
-- Reply: number of the claim, 0 if the schedule has changed
local at = now()
if get('version') ~= ARGV[1] or get('claim') then return '0' end
local number = fresh('claims')
redis.call('HSET', S, 'next', ARGV[3], 'last', ARGV[6],
  'claim', number, 'claim_first', number, 'claim_until', int(at + tonumber(ARGV[2])), 'claim_started', int(at),
  'claim_kind', ARGV[4], 'claim_tick', ARGV[5], 'claim_batch', ARGV[6], 'claim_missed', ARGV[7],
  'claim_revision', get('revision'), 'claim_rows', get('rows'),
  'claim_policy', get('policy'), 'claim_pile_up', get('pile_up'))
if ARGV[4] == 'asked' then redis.call('HDEL', S, 'ask_at', 'ask_batch', 'ask_overlap') end
change()
return number
