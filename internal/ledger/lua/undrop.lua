-- Lets the chains of a bucket that dropped a batch (policy cancel) take calls of it again, as a person gives its
-- corrected file. A chain of which calls of the batch are still open goes on to drop them first. Atomic.
-- KEYS[1] prefix of the bucket
-- ARGV[1] batch
-- Reply: how many
local dropped, n = P .. 'dropped:' .. ARGV[1], 0
for _, id in ipairs(redis.call('SMEMBERS', dropped)) do
  if redis.call('HEXISTS', P .. 'chain:' .. id, C.open_of .. ARGV[1]) == 0 then n = n + redis.call('SREM', dropped, id) end
end
return n
