-- Ends the run of a claim and puts it into the history. Atomic. Works when Redis is full.
-- KEYS[1] prefix of the schedule
-- ARGV[1] number of the claim  [2] the run, JSON
-- Reply: 1, 0 if the claim is another's
local at = now()
if not holds(ARGV[1]) then return 0 end
redis.call('HDEL', S, '')
remember(ARGV[2], at)
unclaim()
change()
return 1
