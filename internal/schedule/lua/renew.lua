-- Keeps a claim for another lease, or gives it back so that a worker takes it over.
-- Atomic. Works when Redis is full.
-- KEYS[1] prefix of the schedule
-- ARGV[1] number of the claim  [2] lease from now, ms; 0 gives it back at once
-- ARGV[3] what went wrong, '' nothing: counted as a try
-- Reply: 1, 0 if the claim is another's
local at = now()
if not holds(ARGV[1]) then return 0 end
redis.call('HDEL', S, '')
redis.call('HSET', S, 'claim_until', int(at + tonumber(ARGV[2])))
if ARGV[3] ~= '' then
  redis.call('HSET', S, 'claim_error', ARGV[3])
  redis.call('HINCRBY', S, 'claim_tries', 1)
  change()
end
return 1
