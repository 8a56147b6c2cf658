-- Cools a token down, or lifts its cooling. Atomic.
-- KEYS[1] prefix of the token's bucket, with its hash tag
-- ARGV[1] token  [2] until, ms; 0 lifts  [3] why  [4] first probe after, ms; 0 none
-- ARGV[5] names this lift: if its reply is lost and it is sent again, it answers as it did at first
-- Reply: {until ms; lifted: now, '0' if it did not cool, now ms, 1 if chains look again: signal
--         their bucket}
local now = quota.now()
if ARGV[2] == '0' then
  local told = KEYS[1] .. 'told:' .. ARGV[5]
  local cooled = quota.lift(KEYS[1], ARGV[1]) == 1 or redis.call('EXISTS', told) == 1
  if cooled then redis.call('SET', told, '', 'PX', 60000) end
  return { cooled and int(now) or '0', int(now), quota.recall(KEYS[1], ARGV[1], 'cooling', now) }
end
return { int(quota.cool(KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), now)), int(now), 0 }
