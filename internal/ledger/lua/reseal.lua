-- Puts a token's newly sealed form in the place of the old one. Compare and set.
-- KEYS[1] prefix of the bucket
-- ARGV[1] token  [2] sealed as read  [3] sealed anew
-- Reply: 1 replaced, 0 it has changed meanwhile
outcome_first()
local have = redis.call('HGET', P .. 'tokens', ARGV[1])
if not have then return 0 end
local colon = string.find(have, ':', 1, true)
if string.sub(have, colon + 1) ~= ARGV[2] then return 0 end
redis.call('HSET', P .. 'tokens', ARGV[1], string.sub(have, 1, colon) .. ARGV[3])
return 1
