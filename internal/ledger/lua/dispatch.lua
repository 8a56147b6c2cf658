-- Moves on what is due in a bucket, and dispatches chains that are ready. Atomic.
-- Scheduled calls join their chains. Chains whose deferral or back-off has ended become ready.
-- A chain that was dispatched and did not begin is dispatched under its next number.
-- A call whose worker was lost (its lease has ended) has failed with an unknown outcome: its
-- chain is ready or, after max attempts, the call is given up. If its batch was cancelled
-- meanwhile, it is cancelled.
-- A call is taken for lost at the third look in a row that finds its lease ended, half a grace
-- after the second. In that time a living worker, whose outcome Redis refused until now, records
-- it. A late look shows that nobody could write meanwhile, or that nobody looked, so it counts as
-- a first one. Until the call is taken for lost the chain runs, and finish takes every outcome.
-- A recall goes on by a slice at a time.
-- KEYS, ARGV see jointly. The same every time:
-- ARGV[2] most items to move on  [3] most chains to dispatch  [4] max attempts
-- ARGV[5] the grace, ms; 0: none
-- Reply: now ms, next due ms or '0', chains left ready, calls of lost workers,
--        then chain, dispatch ...
local now = quota.now()
outcome_first()
return jointly(function()
  local lost = 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', int(now) .. '.999', 'LIMIT', 0, ARGV[2])) do
    redis.call('ZREM', P .. 'delayed', member)
    local token, batch, key = split(member)
    local rec = read(batch, token .. key)
    if rec and rec[R.state] == 'd' then
      local id = chain_of(token, rec[R.chain])
      if is_dropped(batch, id) then
        end_call(batch, token .. key, rec, 'c', now)
        tally(batch, now, COUNT.cancelled, 1)
      else
        rec[R.state] = 'q'
        write(batch, token .. key, rec)
        local c, ref = load_chain(id), ref_of(batch, key, rec)
        if c then
          redis.call('RPUSH', P .. 'queue:' .. id, ref)
          open_in_chain(id, batch, 1)
          if c[C.state] == STATE.held then tally(batch, now, COUNT.blocked, 1) end
        else
          set_ready(new_chain(id, ref, batch, 1), now, true)
        end
      end
    end
  end
  -- recalled makes ready those chains of a token that have waited for a reason since before
  -- the recall, a limited number at a time.
  local function recalled(member)
    redis.call('ZREM', DUE, member)
    local since, reason, token = string.match(member, '^!(%d+) (%S+) (%S+)$')
    if not since then return end
    local list, most = P .. 'asleep:' .. reason .. ':' .. token, tonumber(ARGV[2])
    local found = redis.call('ZRANGEBYSCORE', list, '-inf', since, 'LIMIT', 0, most)
    local function wake_up(id)
      local c = load_chain(id)
      if c and c[C.state] == STATE.waiting and string.sub(c[C.reason] or '', 1, #reason) == reason then set_ready(c, now, true) end
    end
    for _, id in ipairs(found) do
      wake_up(id)
      redis.call('ZREM', list, id)
    end
    if #found == most then
      redis.call('ZADD', DUE, now, member)
      return
    end
    -- Chains that an older version put off are on no list: look at the first of what is due.
    for _, id in ipairs(redis.call('ZRANGE', DUE, 0, SLICE - 1)) do
      if token_of(id) == token and not redis.call('ZSCORE', list, id) then wake_up(id) end
    end
  end

  local STEP = math.floor(tonumber(ARGV[5]) / 2)
  -- PATIENCE is how long late looks count as first ones. Then they count as others do, so that a dead
  -- worker's call comes back even if every look is late.
  local PATIENCE = 600000

  -- lives notes a look at a chain whose lease has ended: in C.missed how many there were in a row, and
  -- in C.waits_until when the first of all was. Returns whether its worker may still record the outcome.
  local function lives(c)
    if STEP == 0 then return false end
    local first, looks = tonumber(c[C.waits_until] or now), tonumber(c[C.missed] or '0') + 1
    if now > tonumber(redis.call('ZSCORE', DUE, c.id)) + STEP and now < first + PATIENCE then looks = 1 end
    if looks > 2 then return false end
    redis.call('HSET', c.key, C.missed, looks, C.waits_until, int(first))
    redis.call('ZADD', DUE, now + STEP, c.id)
    return true
  end

  local recalls = 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', int(now), 'LIMIT', 0, ARGV[2])) do
    local recall_of = string.sub(id, 1, 1) == '!'
    local c = not recall_of and load_chain(id)
    if recall_of then
      recalls = recalls + 1
      if recalls == 1 then recalled(id) end -- one for each script
    elseif not c or c[C.state] == STATE.held then
      redis.call('ZREM', DUE, id)
    elseif c[C.state] == STATE.dispatched then
      c[C.missed] = int(tonumber(c[C.missed] or '0') + 1)
      redis.call('HSET', c.key, C.missed, c[C.missed])
      set_ready(c, now, true)
    elseif c[C.state] == STATE.running and not lives(c) then
      lost = lost + 1
      drop_fields(c, C.missed, C.waits_until)
      local batch, key = split(c[C.head])
      local rec = read(batch, c.token .. key)
      rec[R.code], rec[R.msg] = '', ''
      rec[R.err], rec[R.reason] = 'unknown outcome: the worker was lost while the request was at the vendor', 'unknown'
      if cancelled(batch) then
        if end_cancelled(c, batch, key, rec, now) then set_ready(c, now) end
      elseif tonumber(c[C.spent]) >= tonumber(ARGV[4]) then
        if give_up(c, batch, key, rec, now) then set_ready(c, now) end
      else
        rec[R.state] = 'w'
        write(batch, c.token .. key, rec)
        redis.call('HINCRBY', c.key, C.failures, 1)
        set_ready(c, now, true)
      end
    elseif c[C.state] ~= STATE.running then
      set_ready(c, now, true)
    end
  end
  local reply = { int(now), '0', 0, lost }
  local most = tonumber(ARGV[3])
  for _, id in ipairs(most > 0 and redis.call('ZRANGE', READY, 0, most - 1) or {}) do
    local c = load_chain(id)
    if c then
      reply[#reply + 1] = id
      reply[#reply + 1] = dispatch(c, now)
    else
      redis.call('ZREM', READY, id)
    end
  end
  local due = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
  local delayed = redis.call('ZRANGE', P .. 'delayed', 0, 0, 'WITHSCORES')[2]
  delayed = delayed and int(math.floor(delayed))
  if delayed and (not due or tonumber(delayed) < tonumber(due)) then due = delayed end
  reply[2] = due or '0'
  reply[3] = redis.call('ZCARD', READY)
  return table.concat(reply, SEP)
end)
