-- Raises what a token has used of a day to the vendor's own count, if that is higher than
-- ours was at the grant of the request that asked for it. It adds what was granted since, and
-- what was in flight then and may have reached the vendor later: the vendor had not counted
-- it yet. A count never becomes smaller, and one that is gone stays gone. Atomic.
-- KEYS[1] prefix of the token's bucket, with its hash tag
-- ARGV[1] token  [2] day (YYYYMMDD) of the grant  [3] our count at the grant, it included
-- ARGV[4] other slots held at the grant  [5] the vendor's count, that request included
-- Reply: {our count before, and after, now ms}
local now = quota.now()
local key = KEYS[1] .. 'used:' .. ARGV[1] .. ':' .. ARGV[2]
local have = tonumber(redis.call('GET', key)) or 0
local ours, vendors = tonumber(ARGV[3]), tonumber(ARGV[5])
if have == 0 or vendors <= ours then return { int(have), int(have), int(now) } end
local raised = math.max(have, vendors + have - ours + tonumber(ARGV[4]))
if raised > have then redis.call('SET', key, int(raised), 'KEEPTTL') end
return { int(have), int(raised), int(now) }
