-- Says whether a batch may be purged, or deletes what is known of it. Atomic. A batch may be
-- purged while no run of it lives and nobody may append to it. It is deleted only if, besides,
-- nothing was noted since this was asked.
-- KEYS[1] what is known of the batch  [2] bitmap of its buckets  [3] leases of its runs
-- ARGV[1] how long an append may be late, ms  [2] what was answered when it was asked; '' asks
-- Reply: what to give for deleting it, '' if it may not be
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mark = redis.call('HGET', KEYS[1], 'until') or '0'
if redis.call('EXISTS', KEYS[3]) == 1 or tonumber(mark) + tonumber(ARGV[1]) > now then return '' end
if ARGV[2] == '' then return mark end
if ARGV[2] ~= mark then return '' end
redis.call('DEL', KEYS[1], KEYS[2])
return mark
