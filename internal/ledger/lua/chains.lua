-- The chains on some lists of a bucket, at one moment: a chain moves from one list to another. It only reads, so it
-- works when Redis is full, as MULTI does not.
-- KEYS[1] prefix of the bucket
-- ARGV[1..] the lists
-- Reply: the members of the lists, one list after the other
local members = {}
for _, list in ipairs(ARGV) do
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1] .. list, 0, -1)) do members[#members + 1] = member end
end
return members
