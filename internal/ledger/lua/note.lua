-- Notes the buckets of a batch, and that calls may be appended there for some time. Atomic. A
-- batch that is gone, or was made anew, is left alone.
-- KEYS[1] what is known of the batch  [2] bitmap of its buckets
-- ARGV[1] when the batch was created, ms  [2] for how long, ms  [3..] buckets
-- Reply: {1, until ms}, {0, 0} it is gone, {-1, 0} it was cancelled
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local have = redis.call('HMGET', KEYS[1], 'name', 'created', 'cancelled', 'until')
if not have[1] or have[2] ~= ARGV[1] then return { 0, 0 } end
if have[3] then return { -1, 0 } end
local last = now + tonumber(ARGV[2])
-- It always changes: that is how a purge sees that somebody noted something.
if have[4] and tonumber(have[4]) >= last then last = tonumber(have[4]) + 1 end
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', last))
for i = 3, #ARGV do redis.call('SETBIT', KEYS[2], ARGV[i], 1) end
return { 1, last }
