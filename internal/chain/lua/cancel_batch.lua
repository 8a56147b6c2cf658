-- Takes the calls of a batch out of one bucket, a slice at a time: those that wait
-- wherever they wait, and its held heads; a call that runs is left to end. Rows of the
-- batch that are enqueued later come in as cancelled. Each slice is atomic.
-- KEYS[1] prefix of the bucket
-- ARGV[1] batch  [2] cursor, '0' at first
-- Reply: {now ms, next cursor, '0' at the end, calls cancelled, chains ready}
local now = quota.now()
outcome_first()
local batch, done, freed, moved = ARGV[1], 0, 0, false
redis.call('HSET', P .. 'counts:' .. batch, 'x', '1')
local scan = redis.call('HSCAN', P .. 'calls:' .. batch, ARGV[2], 'COUNT', 200)
for i = 1, #scan[2], 2 do
  local field, rec = scan[2][i], cjson.decode(scan[2][i + 1])
  if moved then rec = read(batch, field) end -- an advance may have ended it
  local state = rec[R.state]
  if state ~= 's' and state ~= 'k' and state ~= 'c' and state ~= 'r' then
    local token, key = string.sub(field, 1, 24), string.sub(field, 25)
    local id, ref = chain_of(token, rec[R.chain]), batch .. ' ' .. key
    local c = load_chain(id)
    local head = c and c.h == ref
    if state == 'd' then
      redis.call('ZREM', DELAYED, token .. ' ' .. ref)
    elseif state == 'f' then
      -- A failed call that holds no chain (policies skip and cancel) stays as it is.
      if not (head and c.s == 'h') then c = nil else unhold(c, batch, now) end
    elseif c then
      open_in_chain(id, batch, -1)
      if c.s == 'h' then freed = freed + 1 end
    end
    if state ~= 'f' or c then
      end_call(batch, field, rec, 'c', now)
      done = done + 1
      if head then
        unlist(c)
        advance_or_idle(c, now)
        moved = true
      end
    end
  end
end
if done > 0 then tally(batch, now, 'c', done, 'b', 0 - freed) end
return { int(now), scan[1], done, redis.call('ZCARD', READY) }
