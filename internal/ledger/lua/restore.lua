-- Puts calls of one bucket into the state that a write-ahead log has, after they were
-- appended and before anything runs. Atomic. Calls of a chain come in its order, and best one
-- after the other: then those that ended at its beginning are one step. Reads and writes are
-- gathered, so a call that ended costs no command of its own. A call that is no longer as it
-- was appended is left alone, so restoring again changes nothing.
-- An attempt in flight is put back as one whose worker was lost: dispatch takes it up when its
-- lease has ended. Package quota restores the slots and counts of tokens.
-- KEYS[1] prefix of the bucket
-- ARGV[1] batch
-- ARGV[2..] for each call, 18: chain, key, state (s succeeded, f given up, k skipped, c cancelled,
--         x in flight, w waits), attempts, enqueued ms, started ms, finished ms, code, msg, error,
--         attempts of the budget, failures in a row, first push-back ms or '0',
--         until ms (x: end of the lease, w: next attempt), nonce, days of the grant,
--         a request may be at the vendor until ms or '0', code of what went wrong or ''
-- Reply: {now ms, calls restored, chains ready}
local EACH = 18
local now = quota.now()
outcome_first()
local batch, done, failed = ARGV[1], 0, 0
local calls = P .. 'calls:' .. batch
local ended = { s = 0, k = 0, c = 0 } -- calls by state, counted at the end
local known = {}               -- field -> record, false where there is none, as read at the beginning
local written = {}             -- fields and records that are written at the end
local idle, gone = {}, {}      -- chains that have nothing to do any more; their keys go at the end

local function prefetch()
  local fields = {}
  for at = 2, #ARGV, EACH do fields[#fields + 1] = token_of(ARGV[at]) .. ARGV[at + 1] end
  for i, raw in ipairs(redis.call('HMGET', calls, unpack(fields))) do known[fields[i]] = raw and cjson.decode(raw) end
end

local function flush()
  if written[1] then redis.call('HSET', calls, unpack(written)) end
  written = {}
end

-- record returns the call's record; nil or false if there is none.
local function record(field)
  if known[field] == nil then return read(batch, field) end
  return known[field]
end

-- head_of steps over calls that have ended until the chain has a head; nil if it has none.
local function head_of(c)
  while c and c[C.head] == '' do
    if not advance(c, now) then c = nil end
  end
  return c
end

local function has_ended(at) return ended[ARGV[at + 2]] ~= nil end

-- remembered puts into a record what the log knows of the call at this place of ARGV.
local function remembered(rec, at)
  local a = function(n) return ARGV[at + n] end
  done = done + 1
  rec[R.attempts], rec[R.enqueued], rec[R.started] = tonumber(a(3)), tonumber(a(4)), tonumber(a(5))
  rec[R.code], rec[R.msg], rec[R.err] = a(7), a(8), a(9)
  rec[R.reason] = a(17) ~= '' and a(17) or nil
  if has_ended(at) then
    rec[R.state], rec[R.finished] = a(2), tonumber(a(6))
    ended[a(2)] = ended[a(2)] + 1
  end
end

-- pass ends the calls from this place on that have ended in the log, as long as they are the
-- chain's head and what stands right behind it. Returns how many.
local function pass(c, at)
  local queue, last = P .. 'queue:' .. c.id, at
  while ARGV[last + EACH] == c.id and has_ended(last + EACH) do last = last + EACH end
  local behind = redis.call('LRANGE', queue, 0, (last - at) / EACH)
  local n, ref = 0, c[C.head]
  while at <= last and ref == batch .. ' ' .. ARGV[at + 1] do
    local field = c.token .. ARGV[at + 1]
    local rec = record(field)
    if not rec or rec[R.state] ~= 'q' then break end
    remembered(rec, at)
    written[#written + 1], written[#written + 2] = field, encode(rec)
    if batch == SOLO then redis.call('ZADD', P .. 'old', int(rec[R.finished]), field) end
    n = n + 1
    ref, at = behind[n], at + EACH
  end
  if n == 0 then return 0 end
  if c[C.state] == STATE.ready and not ref then
    idle[#idle + 1], gone[c.id] = c.id, true
    return n
  end
  if n > 1 then
    redis.call('LTRIM', queue, n - 1, -1)
    open_in_chain(c.id, batch, 1 - n)
  end
  if advance(c, now, batch) then set_ready(c, now) end
  return n
end

-- one restores the call at this place, wherever it stands in its chain.
local function one(c, at)
  local a = function(n) return ARGV[at + n] end
  local key, state = a(1), a(2)
  local field, ref = c.token .. key, batch .. ' ' .. key
  local rec = record(field)
  if not rec or rec[R.state] ~= 'q' then return end
  remembered(rec, at)
  local passed = state == 'f' and c[C.head] ~= ref and (redis.call('HGET', P .. 'counts:' .. batch, COUNT.policy) or 'hold') ~= 'hold'
  if passed then failed = failed + 1 end
  if passed or has_ended(at) then -- behind the head
    end_call(batch, field, rec, state, tonumber(a(6)))
    open_in_chain(c.id, batch, -1)
    redis.call('LREM', P .. 'queue:' .. c.id, 1, ref)
  elseif state == 'f' and c[C.head] == ref then
    unlist(c)
    flush()
    known = {} -- its policy may cancel calls
    if give_up(c, batch, key, rec, now) then set_ready(c, now) end
    rec[R.finished] = tonumber(a(6))
    write(batch, field, rec)
  elseif c[C.head] == ref then
    redis.call('HSET', c.key, C.spent, a(10), C.failures, a(11))
    if a(12) ~= '0' then redis.call('HSET', c.key, C.first_push_back, a(12)) end
    rec[R.state] = state == 'x' and 'r' or 'w'
    write(batch, field, rec)
    if state == 'x' then
      redis.call('HSET', c.key, C.state, STATE.running, C.nonce, a(14), C.lease_ends, a(13), C.days, a(15))
      redis.call('ZREM', READY, c.id)
      redis.call('ZADD', DUE, a(13), c.id)
    elseif tonumber(a(13)) > now then
      wait(c, 'back-off', tonumber(a(13)), now)
    end
  else
    write(batch, field, rec)
  end
end

prefetch()
-- This is also for calls that were not appended again: their requests may be at the vendor all the same.
for at = 2, #ARGV, EACH do
  local till = tonumber(ARGV[at + 16])
  local quarantine = P .. 'quiet:' .. ARGV[at]
  if till > now and till > tonumber(redis.call('GET', quarantine) or 0) then
    redis.call('SET', quarantine, int(till), 'PX', int(till - now))
  end
end
local at = 2
while at < #ARGV do
  local c, n = not gone[ARGV[at]] and head_of(load_chain(ARGV[at])), 0
  if c and c[C.state] ~= STATE.held then
    if has_ended(at) then n = pass(c, at) end
    if n == 0 then one(c, at) end
  end
  at = at + math.max(n, 1) * EACH
end
flush()
for state, n in pairs(ended) do
  if n > 0 then tally(batch, now, state, n) end
end
if failed > 0 then tally(batch, now, COUNT.failed, failed) end
if idle[1] then
  redis.call('ZREM', READY, unpack(idle))
  local keys = {}
  for _, id in ipairs(idle) do keys[#keys + 1], keys[#keys + 2] = P .. 'chain:' .. id, P .. 'queue:' .. id end
  redis.call('DEL', unpack(keys))
end
return { int(now), done, redis.call('ZCARD', READY) }
