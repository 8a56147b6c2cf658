-- Writes down chains that a run passes over, a slice at a time. Nothing of the run is
-- enqueued before all are written. Each slice is atomic.
-- KEYS[1] prefix of the schedule
-- ARGV[1] number of the claim  [2] '1': these are the last  [3..] chains
-- Reply: 1, 0 if the claim is another's, or all were written already
if not holds(ARGV[1]) or get('claim_decided') then return 0 end
local key = P .. 'passed:' .. get('claim_first')
for i = 3, #ARGV do redis.call('HSET', key, ARGV[i], '') end
if ARGV[2] == '1' then
  redis.call('HSET', S, 'claim_decided', '1')
  change()
end
return 1
