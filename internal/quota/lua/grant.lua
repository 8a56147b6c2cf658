-- Grants one request of a token, or says why not and until when. Atomic.
-- KEYS[1] prefix of the token's bucket, with its hash tag
-- ARGV[1] token  [2] nonce  [3] waiter, '' for none  [4] waiting since, ms, 0 now
-- ARGV[5..18] settings
-- Reply: {'granted', ends ms, days, used, limit, now, 1 if it probes a cooling,
--         other slots that are held, 1 if the bucket has an epoch}
--     or {why, until ms, detail, '0', '0', now, 0, 0, 1 if the bucket has an epoch}
-- Guarantees: at most as many leases as slots at a time, at most licences x 1000 grants
-- for a day, a refusal uses nothing, and the same nonce is granted once.
local now = quota.now()
local g = quota.grant(KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), quota.settings(5), now)
local epoch = redis.call('EXISTS', KEYS[1] .. 'epoch')
if g.granted then
  return { 'granted', int(g.ends), g.days, int(g.used), int(g.limit), int(now),
    g.probing and 1 or 0, g.others, epoch }
end
return { g.why, int(g.until_ms), g.detail or '', '0', '0', int(now), 0, 0, epoch }
