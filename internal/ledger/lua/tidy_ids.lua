-- Removes entries of the index that have led nowhere for long enough, and marks others that lead
-- nowhere with the time, at the end of their value. An entry that is not as it was seen is left: a producer indexed it
-- again, or removed it. Atomic. Works when Redis is full: it writes what needs no memory first.
-- KEYS[1] hash of the index
-- ARGV[1] how long an entry may lead nowhere, ms  [2..] field and value, as they were seen, of each
--         entry that leads nowhere
-- Reply: how many were removed
local time = redis.call('TIME')
local now, gone = time[1] * 1000 + math.floor(time[2] / 1000), 0
redis.call('HDEL', KEYS[1], '')
for i = 2, #ARGV, 2 do
  local field, seen = ARGV[i], ARGV[i + 1]
  if redis.call('HGET', KEYS[1], field) == seen then
    if #seen % 5 == 0 then -- no time yet: empty, or entries of 5 bytes
      redis.call('HSET', KEYS[1], field, seen .. string.format('%.0f', now))
    elseif tonumber(string.sub(seen, -13)) + tonumber(ARGV[1]) <= now then
      gone = gone + redis.call('HDEL', KEYS[1], field)
    end
  end
end
return gone
