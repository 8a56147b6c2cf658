-- A person's decision on a held chain: retry its head with a new budget of attempts,
-- or skip it. Atomic.
-- KEYS[1] prefix of the bucket
-- ARGV[1] chain  [2] retry | skip  [3] only if the head is of this batch, '' any
-- ARGV[4] only if the head is of this server, '' any
-- Reply: {now ms, 1 done or 0 not held or not meant, chains ready}
local now = quota.now()
outcome_first()
local c = load_chain(ARGV[1])
if not c or c[C.state] ~= STATE.held then return { int(now), 0, 0 } end
local batch, key = split(c[C.head])
local field = c.token .. key
local rec = read(batch, field)
if (ARGV[3] ~= '' and batch ~= ARGV[3]) or (ARGV[4] ~= '' and rec[R.server] ~= ARGV[4]) then
  return { int(now), 0, 0 }
end
unhold(c, batch, now)
if ARGV[2] == 'retry' then
  rec[R.state], rec[R.finished] = 'q', 0
  write(batch, field, rec)
  if batch == SOLO then redis.call('ZREM', P .. 'old', field) end
  open_in_chain(c.id, batch, 1)
  new_head(c, c[C.head])
  set_ready(c, now, true)
else
  end_call(batch, field, rec, 'k', now)
  tally(batch, now, COUNT.skipped, 1)
  if advance(c, now) then set_ready(c, now) end
end
return { int(now), 1, redis.call('ZCARD', READY) }
