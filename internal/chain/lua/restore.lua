-- Puts calls of one bucket into the state that a journal remembers, after they were
-- appended and before anything runs. Atomic. Calls of a chain come in its order. A call
-- that is no longer as it was appended is left alone, so restoring again changes nothing.
-- An attempt in flight is put back as one whose worker was lost: pump takes it up when its
-- lease has ended. Slots and counts of tokens are quota's to restore.
-- KEYS[1] prefix of the bucket
-- ARGV[1] batch
-- ARGV[2..] for each call, 17: chain, key, state (s succeeded, f given up, k skipped, x in
--         flight, w waits), attempts, enqueued ms, started ms, finished ms, code, msg, error,
--         attempts of the budget, failures in a row, first push-back ms or '0',
--         until ms (x: end of the lease, w: next attempt), nonce, days of the grant,
--         a request may be at the vendor until ms or '0'
-- Reply: {now ms, calls restored, chains ready}
local now = quota.now()
outcome_first()
local batch, done = ARGV[1], 0

-- head_of steps over calls that have ended until the chain has a head; nil where it has none.
local function head_of(c)
  while c and c.h == '' do
    if not advance(c, now) then c = nil end
  end
  return c
end

local function finish(c, ref, field, rec, state, finished, count)
  end_call(batch, field, rec, state, finished)
  open_in_chain(c.id, batch, -1)
  tally(batch, now, count, 1)
  if c.h == ref then advance_or_idle(c, now) else redis.call('LREM', P .. 'queue:' .. c.id, 1, ref) end
end

for i = 2, #ARGV, 17 do
  local a = function(n) return ARGV[i + n] end
  local id, key, state = a(0), a(1), a(2)
  local token = token_of(id)
  local field, ref = token .. key, batch .. ' ' .. key
  local rec = read(batch, field)
  local c = head_of(load_chain(id))
  if rec and rec[R.state] == 'q' and c and c.s ~= 'h' then
    done = done + 1
    rec[R.attempts], rec[R.enqueued], rec[R.started] = tonumber(a(3)), tonumber(a(4)), tonumber(a(5))
    rec[R.code], rec[R.msg], rec[R.err] = a(7), a(8), a(9)
    if tonumber(a(16)) > now then
      redis.call('SET', P .. 'quiet:' .. id, a(16), 'PX', int(tonumber(a(16)) - now))
    end
    if state == 's' or state == 'k' then
      finish(c, ref, field, rec, state, tonumber(a(6)), state)
    elseif state == 'f' and c.h == ref then
      unlist(c)
      if give_up(c, batch, key, rec, now) then set_ready(c, now) end
      rec[R.finished] = tonumber(a(6))
      write(batch, field, rec)
    elseif c.h == ref then
      redis.call('HSET', c.key, 'a', a(10), 't', a(11))
      if a(12) ~= '0' then redis.call('HSET', c.key, 'p', a(12)) end
      rec[R.state] = state == 'x' and 'r' or 'w'
      write(batch, field, rec)
      if state == 'x' then
        redis.call('HSET', c.key, 's', 'x', 'n', a(14), 'e', a(13), 'd', a(15))
        redis.call('ZREM', READY, id)
        redis.call('ZADD', DUE, a(13), id)
      elseif tonumber(a(13)) > now then
        wait(c, 'back-off', tonumber(a(13)), now)
      end
    else
      write(batch, field, rec)
    end
  end
end
return { int(now), done, redis.call('ZCARD', READY) }
