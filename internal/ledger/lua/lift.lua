-- Ends a token's cool-down, as a person says: its chains that wait for that look again.
-- KEYS[1] prefix of the bucket
-- ARGV[1] token
-- Reply: {now ms, 1 where it cooled}
local now = quota.now()
outcome_first()
local cooled = quota.lift(P, ARGV[1])
recall(ARGV[1], 'cooling', now)
return { now, cooled }
