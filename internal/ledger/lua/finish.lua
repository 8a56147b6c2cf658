-- Ends an attempt: frees its slot (or not), records the outcome, advances, puts off
-- or holds the chain, and wakes the chain that waited longest for the slot. If the run
-- may go on, it begins another call: the chain's next one or, if that may not run now,
-- the next one of the chain that got the slot, else of the bucket's first ready chain.
-- If the chain that got the slot does not take it, for a reason of its own, the next
-- one that waits is dispatched. All this is one atomic step, so a result is never
-- behind its chain's advance. It is fenced by the nonce of the chain's last attempt:
-- an attempt that another one has followed changes nothing but its own slot. A success
-- that comes after the attempt was taken for lost, and before another, still counts.
-- A call whose batch was cancelled meanwhile is not tried again.
-- KEYS, ARGV see jointly. The same every time: quota's settings. Each time:
-- id          the chain
-- nonce       of the attempt
-- outcome     '' as it mostly is: a success that frees its slot, and no more. Else eight fields with SEP between them:
--             done | fail (counts) | push (the vendor's push-back: no attempt of the
--             budget) | back (certainly not sent) | late (not sent, and
--             nobody's fault but ours: no push-back either) | busy (as late, since the worker had
--             no place left at the server: it keeps the chain, see stay) | giveup
--             release | keep (unknown outcome: the slot stays until its lease ends) | back
--             days of the grant; delay to the next attempt, ms; code of what went wrong, or ''
--             cool the token until ms, '0' none, 'lift'; probe after ms; why
-- code, msg, err  what the vendor said
-- on          the run may go on: 0 no, 1 with this chain, 2 with any, 3 with any other
-- next_nonce  of the next attempt
-- servers     whose calls are put off, as begin has it
-- Reply: now ms, woken chain or '', its dispatch number, when the bucket needs somebody for this
--        chain or its token again, ms or 0; then
--        stale | waiting, until | held | idle | ready | as start; if the run
--        left this chain for another, what comes last is of the other one
local now, s = quota.now(), quota.settings(2)
return jointly(function(id, nonce, outcome, code, msg, err, on, next_nonce, servers)
  local token = token_of(id)
  local kind, slot, days, delay, reason, cool, probe, why = 'done', 'release', '', '0', '', '0', '0', ''
  if outcome ~= '' then
    kind, slot, days, delay, reason, cool, probe, why =
      string.match(outcome, '^' .. string.rep('([^' .. SEP .. ']*)' .. SEP, 7) .. '(.*)$')
  end
  if slot == 'release' then
    quota.release(P, token, nonce)
  else
    outcome_first()
    if slot == 'back' then quota.give_back(P, token, nonce, days) end
  end
  local recalled -- the bucket needs somebody at once
  if cool == 'lift' then
    recalled = quota.lift(P, token) == 1 and recall(token, 'cooling', now)
  elseif cool ~= '0' then
    quota.cool(P, token, tonumber(cool), why, tonumber(probe), now)
  end
  -- Mostly nobody waits for the token and it does not cool: one command tells both.
  local calm = redis.call('EXISTS', P .. 'waiters:' .. token, P .. 'cooling:' .. token) == 0
  local woken = not calm and wake(token, s.slots, now)

  -- answer returns the reply, and dispatches the chain that got the slot.
  local function answer(t, due) return reply_of(now, woken, recalled and int(now) or due, t) end

  -- leave ends the run of this chain, and goes on with another one if the run may.
  local function leave(t, due)
    if on ~= '2' and on ~= '3' then return answer(t, due) end
    local other = woken
    if not (other and other.id) then
      local first = redis.call('ZRANGE', READY, 0, 1)
      local one = first[1] ~= id and first[1] or first[2]
      other = one and load_chain(one)
    end
    if not other or other.id == id then return answer(t, due) end
    local started, instead = begin(other, next_nonce, s, now, servers)
    if started[1] == 'clock' then return answer(t, due) end
    woken = instead -- the run is at the one that was woken, if any
    return answer(started, due)
  end

  local c = load_chain(id)
  if not c or c[C.nonce] ~= nonce or (c[C.state] ~= STATE.running and kind ~= 'done') then
    return answer(begun_already(next_nonce, now, s.lease) or { 'stale' })
  end
  if c[C.state] == STATE.running and c[C.missed] then drop_fields(c, C.missed, C.waits_until) end -- looks at a lease that ended
  local batch, key = split(c[C.head])
  local field = c.token .. key
  if c[C.state] == STATE.held then
    unhold(c, batch, now)
    open_in_chain(id, batch, 1)
  elseif c[C.state] ~= STATE.running then
    unlist(c)
    -- It waited for a slot itself, and longest: its slot offer goes to another.
    if woken and woken.id == id then woken = wake(token, s.slots, now) end
  end
  if slot == 'keep' and c[C.state] == STATE.running and tonumber(c[C.lease_ends]) > now then
    redis.call('SET', P .. 'quiet:' .. id, c[C.lease_ends], 'PX', tonumber(c[C.lease_ends]) - now)
  elseif slot ~= 'keep' and c[C.state] ~= STATE.running then
    redis.call('DEL', P .. 'quiet:' .. id)
  end
  local rec = kind ~= 'done' and read(batch, field)
  if rec and slot == 'back' and c[C.state] == STATE.running then
    rec[R.attempts] = rec[R.attempts] - 1
    if rec[R.attempts] == 0 then rec[R.started] = 0 end
  end
  if kind == 'busy' and not cancelled(batch) then
    redis.call('HINCRBY', c.key, C.spent, -1)
    return answer(stay(c, batch, field, rec, now))
  end
  if rec then
    rec[R.code], rec[R.msg], rec[R.err] = code, msg, err
    rec[R.reason] = reason ~= '' and reason or nil
  end

  local more
  if kind == 'done' then
    succeed(batch, field, code, msg, err, now)
    c.lazy = true
    more = advance(c, now, batch)
    if more and c[C.head] ~= '' and split(c[C.head]) == batch then
      redis.call('HINCRBY', P .. 'counts:' .. batch, COUNT.succeeded, '1') -- when it was tells something of a batch's last call only
    else
      tally(batch, now, COUNT.succeeded, '1')
    end
  elseif cancelled(batch) then
    more = end_cancelled(c, batch, key, rec, now)
  elseif kind == 'giveup' then
    more = give_up(c, batch, key, rec, now)
    if c[C.state] == STATE.held then return leave { 'held' } end
  else
    local till = now + tonumber(delay)
    if slot == 'keep' and tonumber(c[C.lease_ends]) > till then till = tonumber(c[C.lease_ends]) end
    rec[R.state] = 'w'
    write(batch, field, rec)
    if kind ~= 'fail' then
      redis.call('HINCRBY', c.key, C.spent, -1)
      if kind ~= 'late' then redis.call('HSETNX', c.key, C.first_push_back, now) end
    end
    if kind ~= 'late' then redis.call('HINCRBY', c.key, C.failures, 1) end
    wait(c, kind == 'fail' and 'back-off' or 'push-back', till, now)
    return leave({ 'waiting', till }, till)
  end
  if not more then return leave { 'idle' } end

  -- The slot goes to a chain that waited: this one goes on only if another slot is left,
  -- and nobody else waits for it.
  local waiters = P .. 'waiters:' .. token
  local busy = woken and redis.call('ZCOUNT', P .. 'slots:' .. token, '(' .. now, '+inf')
  if woken and (busy + 1 >= s.slots or redis.call('EXISTS', waiters) == 1) then
    redis.call('ZADD', waiters, now, id)
    redis.call('PEXPIREAT', waiters, now + s.lease + 86400000)
    -- It comes back when the next lease lapses, as all do that wait for a slot.
    local till = now + DISPATCH_GRACE
    local lapse = redis.call('ZRANGEBYSCORE', P .. 'slots:' .. token, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
    if lapse and tonumber(lapse) < till then till = tonumber(lapse) end
    wait(c, 'slots', till, now)
    return leave({ 'waiting', till }, till)
  end
  if on == '1' or on == '2' then
    local started = start(c, next_nonce, s, now, servers, calm)
    if started[1] ~= 'clock' then return answer(started) end
  end
  set_ready(c, now)
  if on == '3' then return leave({ 'ready' }, now) end -- due at once: who goes on does not signal the bucket
  return answer { 'ready' }
end)
