-- Cancels scheduled calls that are not due yet. Atomic. A call that has joined its chain
-- meanwhile is left alone.
-- KEYS[1] prefix of the bucket
-- ARGV members of delayed, up to 200
-- Reply: {now ms, calls cancelled}
local now = quota.now()
outcome_first()
local done = 0
for _, member in ipairs(ARGV) do
  if redis.call('ZREM', P .. 'delayed', member) == 1 then
    local token, batch, key = split(member)
    local rec = read(batch, token .. key)
    if rec and rec[R.state] == 'd' then
      end_call(batch, token .. key, rec, 'c', now)
      tally(batch, now, COUNT.cancelled, 1)
      done = done + 1
    end
  end
end
return { int(now), done }
