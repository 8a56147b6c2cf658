-- The functions of the ledger's scripts that run, move or end calls. base.lua and quota's library stand
-- before this file.
local function chain_of(token, name)
  if name == nil or name == '' then return token end
  return token .. ':' .. name
end

-- write_first writes the record of a call whose first attempt begins. A record as append wrote it ends with
-- the ref or the chain, or before them; encode is much slower. Returns whether it was such a record.
local function write_first(batch, field, rec, raw, now)
  if rec[R.attempts] or string.sub(raw, 1, 5) ~= '["q",' then return false end
  redis.call('HSET', P .. 'calls:' .. batch, field, '["r",' .. string.sub(raw, 6, -2) .. (rec[R.ref] and '' or ',""') ..
    (rec[R.chain] and '' or ',""') .. ',1,' .. int(now) .. ',0,"","",""]')
  rec[R.state], rec[R.attempts], rec[R.started] = 'r', 1, now
  return true
end

-- succeed writes the record of a call that succeeded, as end_call does. If write_first wrote the record, and nobody asked
-- to be told the call's end, it edits the text: to decode and encode it is slower.
local function succeed(batch, field, code, msg, err, now)
  local raw = redis.call('HGET', P .. 'calls:' .. batch, field)
  if batch ~= SOLO and string.sub(raw, -12) == ',0,"","",""]' and not string.find(raw, ',1],', 1, true) then
    redis.call('HSET', P .. 'calls:' .. batch, field, '["s"' .. string.sub(raw, 5, -12) .. int(now) .. ',' .. cjson.encode(code) .. ',' ..
      cjson.encode(msg) .. ',' .. cjson.encode(err) .. ']')
    return
  end
  local rec = cjson.decode(raw)
  rec[R.code], rec[R.msg], rec[R.err], rec[R.reason] = code, msg, err, nil
  end_call(batch, field, rec, 's', now)
end

local function open_in_chain(id, batch, by)
  local key, field = P .. 'chain:' .. id, C.open_of .. batch
  if redis.call('HINCRBY', key, field, by) <= 0 then redis.call('HDEL', key, field) end
end

-- taken counts calls that were cancelled behind the head of a chain; gone has their number for
-- each batch.
local function taken(c, gone, now)
  for batch, n in pairs(gone) do
    open_in_chain(c.id, batch, -n)
    if c[C.state] == STATE.held then tally(batch, now, COUNT.cancelled, n, COUNT.blocked, -n) else tally(batch, now, COUNT.cancelled, n) end
  end
end

-- cancelled tells whether the batch was cancelled: a call that does not succeed now is not
-- tried again.
local function cancelled(batch) return redis.call('HGET', P .. 'counts:' .. batch, COUNT.batch_cancelled) == '1' end -- rare

-- shift_blocked counts all open calls of a chain as blocked (by 1), or as not (-1).
local function shift_blocked(c, by, now) -- rare
  local all = redis.call('HGETALL', c.key)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, #C.open_of) == C.open_of then
      tally(string.sub(all[i], #C.open_of + 1), now, COUNT.blocked, by * tonumber(all[i + 1]))
    end
  end
end

-- unlist takes a chain off every list that could run it.
local function unlist(c) -- rare
  awake(c)
  redis.call('ZREM', READY, c.id)
  redis.call('ZREM', DUE, c.id)
  redis.call('ZREM', P .. 'waiters:' .. c.token, c.id)
end

-- drop_fields removes the fields that are named, if the chain has them.
local function drop_fields(c, ...)
  local have = {}
  for _, name in ipairs({ ... }) do
    if c[name] then
      have[#have + 1] = name
      c[name] = nil
    end
  end
  if have[1] then redis.call('HDEL', c.key, unpack(have)) end
end

-- new_head forgets what belonged to the call before. If the chain is lazy, the next write
-- (save_head, start) also stores its new head and nonce.
local function new_head(c, ref)
  if c.lazy then
    drop_fields(c, C.first_push_back, C.failures, C.reason, C.waits_until, C.missed) -- start writes the others
    if not c.unsaved then c.was = tonumber(c[C.spent]) end
  end
  c[C.head], c[C.spent], c.unsaved = ref, 0, true
  if not c.lazy then save_head(c) end
end

-- wait puts the chain off until a time; it costs nothing until then.
local function wait(c, why, till, now) -- rare
  local s = why == 'slots' and STATE.waiting_for_slot or STATE.waiting
  save_head(c)
  redis.call('HSET', c.key, C.state, s, C.reason, why, C.waits_until, till)
  if c[C.missed] then redis.call('HDEL', c.key, C.missed) end
  c[C.missed] = nil
  if s == STATE.waiting and c[C.waiter_since] then
    redis.call('ZREM', P .. 'waiters:' .. c.token, c.id)
  elseif s == STATE.waiting_for_slot and not c[C.waiter_since] then
    redis.call('HSET', c.key, C.waiter_since, now)
    c[C.waiter_since] = now
  end
  redis.call('ZREM', READY, c.id)
  redis.call('ZADD', DUE, till, c.id)
  c[C.state], c[C.reason], c[C.waits_until] = s, why, till
  local list = asleep(c)
  if list then redis.call('ZADD', list, now, c.id) end
end

-- hold stops the chain at its head, which was given up, until a person decides.
local function hold(c, batch, now) -- rare
  unlist(c)
  redis.call('HSET', c.key, C.state, STATE.held, C.reason, 'held', C.waits_until, '0')
  redis.call('ZADD', P .. 'held', now, c.id)
  shift_blocked(c, 1, now)
  tally(batch, now, COUNT.held_chains, 1)
  c[C.state] = STATE.held
end

local function unhold(c, batch, now) -- rare
  redis.call('ZREM', P .. 'held', c.id)
  shift_blocked(c, -1, now)
  tally(batch, now, COUNT.held_chains, -1, COUNT.failed, -1)
  c[C.state] = STATE.waiting
end

-- advance makes the next open call the head; false: there is none, and the chain went
-- idle. It passes over references of calls that have ended (cancelled). After a slice of
-- them the head is '', and the next run goes on passing over. If the old head succeeded
-- and is still counted as open, ended is its batch.
local function advance(c, now, ended)
  local gone, kept = {}, ended -- a chain that has dropped a batch has no head of it any more
  for _ = 1, SLICE do
    local ref = redis.call('LPOP', P .. 'queue:' .. c.id)
    if not ref then
      taken(c, gone, now)
      if c[C.state] == STATE.running then redis.call('ZREM', DUE, c.id) else unlist(c) end
      redis.call('DEL', c.key)
      return false
    end
    if ended then
      open_in_chain(c.id, ended, '-1')
      ended = nil
    end
    local batch, key, t = split(ref)
    local rec, raw = read(batch, c.token .. key)
    if stands(rec, t) then
      if batch ~= kept and is_dropped(batch, c.id) then
        end_call(batch, c.token .. key, rec, 'c', now)
        gone[batch] = (gone[batch] or 0) + 1
      else
        taken(c, gone, now)
        new_head(c, ref)
        c.rec, c.raw = rec, raw
        return true
      end
    end
  end
  taken(c, gone, now)
  new_head(c, '')
  return true
end

-- drop_later cancels the calls of a batch behind the head (policy cancel): the nearest
-- ones at once, the others when the chain comes to them.
local function drop_later(c, batch, now) -- rare
  local n = 0
  redis.call('SADD', P .. 'dropped:' .. batch, c.id)
  for _, ref in ipairs(redis.call('LRANGE', P .. 'queue:' .. c.id, 0, 199)) do
    local of, key, t = split(ref)
    if of == batch then
      local rec = read(batch, c.token .. key)
      if stands(rec, t) then
        end_call(batch, c.token .. key, rec, 'c', now)
        n = n + 1
      end
    end
  end
  if n > 0 then taken(c, { [batch] = n }, now) end
end

-- end_cancelled ends a head whose batch was cancelled meanwhile; true if the chain can go on
-- with another call.
local function end_cancelled(c, batch, key, rec, now) -- rare
  end_call(batch, c.token .. key, rec, 'c', now)
  open_in_chain(c.id, batch, -1)
  tally(batch, now, COUNT.cancelled, 1)
  return advance(c, now)
end

-- give_up ends the head as failed and does what its batch's policy says; true
-- if the chain can go on with another call.
local function give_up(c, batch, key, rec, now) -- rare
  end_call(batch, c.token .. key, rec, 'f', now)
  open_in_chain(c.id, batch, -1)
  tally(batch, now, COUNT.failed, 1)
  local policy = redis.call('HGET', P .. 'counts:' .. batch, COUNT.policy) or 'hold'
  if policy == 'skip' or policy == 'cancel' then
    if policy == 'cancel' then drop_later(c, batch, now) end
    return advance(c, now)
  end
  hold(c, batch, now)
  return false
end

-- running is the reply for an attempt that was granted.
local function running(c, batch, key, rec, g)
  local sealed = ''
  if not c.lazy then -- the worker had it with the call before
    local tok = redis.call('HGET', P .. 'tokens', c.token) or ':' -- one that is gone can't be opened
    sealed = string.sub(tok, string.find(tok, ':', 1, true) + 1)
  end
  return { 'run', c.id, batch, key, rec[R.server],
    int(rec[R.attempts]), int(tonumber(c[C.spent])), c[C.first_push_back] or '0', c[C.failures] or '0', c[C.lease_ends], c[C.days] or '', int(rec[R.enqueued]),
    int(g.reclaimed or 0), g.probing and '1' or '0', int(g.used or 0), int(g.limit or 0), sealed }
end

-- repeated answers a script that is executed again because its reply was lost: the
-- attempt of this nonce was granted and is still to be made.
local function repeated(c, nonce) -- rare
  if not c or c[C.state] ~= STATE.running or c[C.nonce] ~= nonce then return nil end
  local batch, key = split(c[C.head])
  return running(c, batch, key, read(batch, c.token .. key), {})
end

-- begun_already answers as repeated does if the run had gone on, with its own chain or another one of the bucket. The
-- lease has not ended. A reply is rarely lost, so nothing is kept for it: this looks at the chains that are due last
-- within one lease from now. It looks at a slice at most, for any number may wait for a time.
local function begun_already(nonce, now, lease) -- rare
  local later = redis.call('ZCOUNT', DUE, '(' .. int(now + lease), '+inf')
  for _, id in ipairs(redis.call('ZREVRANGE', DUE, later, later + SLICE - 1)) do
    if redis.call('HGET', P .. 'chain:' .. id, C.nonce) == nonce then return repeated(load_chain(id), nonce) end
  end
  return nil
end

-- defer puts the head off without an attempt.
local function defer(c, batch, field, rec, why, till, detail, now) -- rare
  wait(c, why, till, now)
  if rec[R.state] ~= 'w' then
    rec[R.state] = 'w'
    write(batch, field, rec)
  end
  return { 'deferred', why, till, detail or '', 0, c.id }
end

-- away tells until when the calls of a server are put off; nil: they are not. If that time
-- has passed, a call is put off for a second: one worker probes the server, and tells the
-- others. The second result says that the worker has no place left there.
local function away(servers, server, now)
  if servers == nil or servers == '' then return nil end
  local _, last = string.find(' ' .. servers, ' ' .. server .. '=', 1, true)
  if not last then return nil end
  local till = string.match(servers, '^%d+', last)
  if not till then return nil, true end
  return math.max(tonumber(till), now + 1000)
end

-- WAIT_THERE is how long a worker may let a chain wait for a place at its server before the chain
-- is dispatched anew, to any worker: the first one may have died, or another one may have a place. It is
-- doubled up to twice, so that long queues cost little.
local WAIT_THERE = 15000

-- stay leaves a chain with the worker that asks: the worker takes it up under its dispatch number
-- as soon as it has a place at the chain's server. The chain holds no slot and no count. If the worker
-- dies, the chain is dispatched again when WAIT_THERE has passed.
local function stay(c, batch, field, rec, now) -- rare
  save_head(c)
  if c[C.state] ~= STATE.dispatched then dispatch(c, now) end
  local missed = tonumber(c[C.missed] or '0')
  local twice = math.min(missed, 2)
  local till = now + WAIT_THERE * 2 ^ twice
  local since = now - WAIT_THERE * (2 ^ twice - 1 + 4 * (missed - twice)) -- by how often it was dispatched anew
  redis.call('HSET', c.key, C.reason, BUSY, C.waits_until, till)
  redis.call('ZADD', DUE, till, c.id)
  if c[C.waiter_since] then redis.call('ZREM', P .. 'waiters:' .. c.token, c.id) end
  c[C.reason], c[C.waits_until] = BUSY, till
  if rec[R.state] ~= 'w' then
    rec[R.state] = 'w'
    write(batch, field, rec)
  end
  return { 'deferred', BUSY, till, rec[R.server], 0, c.id, c[C.number], since }
end

-- RAMP is the time over which the chains that waited for a day begin, so that not all of them come to Redis
-- and the vendor at once. Each has its own time, by its name.
local RAMP = 5000
local function ramp(id) return tonumber(string.sub(redis.sha1hex(id), 1, 6), 16) % RAMP end -- rare

-- start asks for the grant of the head's next attempt and writes it down: the
-- attempt is counted here, before anything is sent. calm: as quota.grant has it.
-- Reply: {'run', chain, batch, key, server, attempt, spent,
--         first push-back ms, failures in a row, end of lease ms, days, enqueued ms,
--         slots reclaimed, 1 a probe of a cooling token, used today, limit, sealed token}; the sealed token is '' if finish
--         goes on with the chain of the attempt that it ends
--     or {'deferred', why, until ms, detail, slots reclaimed, chain} or {'clock'} or {'again'} or {'idle'}
--     or {'deferred', BUSY, until ms, server, 0, chain, dispatch number, since ms}: see stay
local function start(c, nonce, s, now, servers, calm)
  if c[C.head] == '' then
    if not advance(c, now) then return { 'idle' } end
    if c[C.head] == '' then
      set_ready(c, now)
      return { 'again' }
    end
  end
  local batch, key = split(c[C.head])
  local field = c.token .. key
  local rec, raw = c.rec, c.raw
  if not rec then rec, raw = read(batch, field) end
  -- A chain whose last call has just succeeded (lazy) has no unknown outcome: that call would not have been granted.
  local quarantine = not c.lazy and redis.call('GET', P .. 'quiet:' .. c.id)
  quarantine = quarantine and tonumber(quarantine) or 0
  if quarantine > now then return defer(c, batch, field, rec, 'unknown', quarantine, '', now) end
  local closed, full = away(servers, rec[R.server], now)
  if closed then return defer(c, batch, field, rec, 'server', closed, '', now) end
  if full then return stay(c, batch, field, rec, now) end
  local g = quota.grant(P, c.token, nonce, c.id, tonumber(c[C.waiter_since] or '0'), s, now, calm)
  if not g.granted then
    if g.why == 'clock' then return { 'clock' } end
    local till = g.until_ms
    if g.why == 'quota' or g.why == 'midnight' then till = till + ramp(c.id) end
    local reply = defer(c, batch, field, rec, g.why, till, g.detail, now)
    if reply[4] ~= '' then redis.call('HSET', c.key, C.reason, g.why .. ': ' .. reply[4]) end
    reply[5] = g.reclaimed or 0
    return reply
  end
  if not write_first(batch, field, rec, raw, now) then
    rec[R.state] = 'r'
    rec[R.attempts] = (rec[R.attempts] or 0) + 1
    if (rec[R.started] or 0) == 0 then rec[R.started] = now end
    write(batch, field, rec)
  end
  if c[C.state] == STATE.ready then redis.call('ZREM', READY, c.id) end
  drop_fields(c, C.reason, C.waits_until, C.waiter_since, C.missed)
  c[C.spent] = tonumber(c[C.spent] or 0) + 1
  local fields = { C.nonce, nonce, C.lease_ends, int(g.ends), C.head, c[C.head] } -- and what is not so already
  if c[C.state] ~= STATE.running then fields[#fields + 1], fields[#fields + 2] = C.state, STATE.running end
  if c[C.days] ~= g.days then fields[#fields + 1], fields[#fields + 2] = C.days, g.days end
  if c[C.spent] ~= c.was then fields[#fields + 1], fields[#fields + 2] = C.spent, c[C.spent] end
  c[C.state], c[C.nonce], c[C.lease_ends], c[C.days], c.unsaved = STATE.running, nonce, fields[4], g.days, nil
  redis.call('HSET', c.key, unpack(fields))
  redis.call('ZADD', DUE, c[C.lease_ends], c.id)
  return running(c, batch, key, rec, g)
end

-- wake takes a waiter of the token out of the queue, if a slot is free: the one that waited longest
-- and can be reached. The caller dispatches or begins a chain; a waiter of package quota is told.
-- Returns the chain, {} for a waiter of quota, or nil.
local function wake(token, slots, now) -- rare
  for _ = 1, 8 do
    local id = quota.wake(P, token, slots, now)
    if not id then return nil end
    if quota.is_chain(token, id) then
      local c = load_chain(id)
      if c and c[C.state] == STATE.waiting_for_slot then return c end
    elseif quota.tell(P, id) then
      return {}
    end
  end
  return nil
end

-- pass_on passes on the slot offer of a chain that does not take it, since it ended or was put off
-- for a reason of its own. The waiter of the token that waits longest gets it, if a slot is free.
-- Only a chain that waited for a slot, and does not any more, had an offer. If the whole token is
-- closed, nothing is passed on: the chain comes back with its offer when that has passed, and until
-- then the others would be woken in vain. Returns as wake does.
local function pass_on(c, slots, now) -- rare
  if not c[C.waiter_since] or c[C.state] == STATE.waiting_for_slot then return nil end
  return wake(c.token, slots, now)
end

-- begin starts the head of a chain that has a slot offer. Returns the reply of start, and the
-- chain to which the slot offer was passed on instead: the caller dispatches that one.
local function begin(c, nonce, s, now, servers)
  local reply = start(c, nonce, s, now, servers)
  local own = reply[1] == 'idle' or reply[1] == 'deferred' and (reply[2] == 'unknown' or reply[2] == 'server' or reply[2] == BUSY)
  local other = own and pass_on(c, s.slots, now)
  return reply, other and other.id and other or nil
end

-- outcome_first writes before the script needs memory: a Redis that is full
-- (noeviction) refuses new work, but lets a script that has begun to write go on. So
-- outcomes are still recorded.
local function outcome_first() redis.call('UNLINK', P .. 'none') end
