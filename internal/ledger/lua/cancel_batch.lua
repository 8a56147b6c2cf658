-- Cancels the calls of a batch in one bucket, a slice at a time: those that wait, wherever they
-- wait, and its held heads; a call that runs is left to end. The batch takes no more rows.
-- Or cancels only some calls of it (prune): those that a file brought and no longer has, or that
-- were never sent and stand in the file with other values. A call that was never sent, or is
-- pruned, is new again if its row comes back. If this ends a chain that was woken for a slot, the
-- next one that waits becomes ready. Each slice is atomic.
-- KEYS[1] prefix of the bucket
-- ARGV[1] batch  [2] cursor, '0' at first; prune: 'f' for calls that a file brought, 'u' for
--         calls that were never sent  [3..16] quota's settings
-- ARGV[17..] prune: fields of the calls, up to 200
-- Reply: {now ms, next cursor, '0' at the end, calls cancelled, chains ready}
local now = quota.now()
outcome_first()
local batch, done = ARGV[1], 0
local calls = P .. 'calls:' .. batch
local prune, scan = nil, { '0', {} }
if ARGV[2] == 'f' or ARGV[2] == 'u' then
  prune = ARGV[2]
  local fields = {}
  for i = 17, #ARGV do fields[#fields + 1] = ARGV[i] end
  for i, raw in ipairs(redis.call('HMGET', calls, unpack(fields))) do
    if raw then scan[2][#scan[2] + 1], scan[2][#scan[2] + 2] = fields[i], raw end
  end
else
  redis.call('HSET', P .. 'counts:' .. batch, COUNT.batch_cancelled, '1')
  scan = redis.call('HSCAN', calls, ARGV[2], 'COUNT', 100)
end
-- meant tells whether the call is one of those to be cancelled.
local function meant(rec)
  if prune == 'u' then return (rec[R.attempts] or 0) == 0 end
  if prune ~= 'f' then return true end
  local ref = rec[R.ref]
  if type(ref) == 'table' then ref = ref[1] end
  return type(ref) == 'number' and ref > 0
end

-- Chains of the slice, each read once. Each gets: out, how many open calls were cancelled;
-- behind, how many calls behind the head were; headless, if the head was.
local chains, ended = {}, {}
local function chain_at(id)
  local c = chains[id]
  if c == nil then
    c = load_chain(id) or false
    if c then c.out, c.behind = 0, 0 end
    chains[id] = c
  end
  return c
end

-- Records are written back together: one command for each would be half of the time. A record
-- that has only its first elements needs no encoding.
local changed = {}
local blank = { '', '', 0, '', '', 0, 0, 0, '', '', '' }
local tails = {
  [3] = ',"","",0,0,' .. int(now) .. ',"","",""]',
  [4] = ',"",0,0,' .. int(now) .. ',"","",""]',
  [5] = ',0,0,' .. int(now) .. ',"","",""]',
}
local function flush()
  if #changed > 0 then redis.call('HSET', calls, unpack(changed)) end
  changed = {}
end
local function cancel(field, rec, raw)
  local tail, text = tails[#rec], nil
  if tail then
    text = '["p"' .. string.sub(raw, 5, -2) .. tail
  else
    rec[R.state] = (prune or (rec[R.attempts] or 0) == 0) and 'p' or 'c'
    for i = 1, #blank do if rec[i] == nil then rec[i] = blank[i] end end
    rec[R.finished] = now
    text = cjson.encode(rec)
  end
  changed[#changed + 1] = field
  changed[#changed + 1] = text
  if #changed >= 200 then flush() end
  if batch == SOLO then redis.call('ZADD', P .. 'old', int(now), field) end
  note_end(batch, field, rec)
  ended[field] = times(rec) or ''
  done = done + 1
end

for i = 1, #scan[2], 2 do
  local field, raw = scan[2][i], scan[2][i + 1]
  local state = string.sub(raw, 3, 3) -- a record begins with its state
  local rec = state ~= 's' and state ~= 'k' and state ~= 'c' and state ~= 'p' and state ~= 'r' and not ended[field]
    and cjson.decode(raw)
  if rec and meant(rec) then
    local token, key = string.sub(field, 1, 24), string.sub(field, 25)
    local ref = ref_of(batch, key, rec)
    if state == 'd' then
      redis.call('ZREM', P .. 'delayed', token .. ' ' .. batch .. ' ' .. key)
      cancel(field, rec, raw)
    else
      local c = chain_at(chain_of(token, rec[R.chain]))
      local head = c and c[C.head] == ref
      -- A failed call that holds no chain (policies skip and cancel) stays as it is.
      if state ~= 'f' or head and c[C.state] == STATE.held then
        cancel(field, rec, raw)
        if c then
          if head then c.headless = true else c.behind = c.behind + 1 end
          if state ~= 'f' then c.out = c.out + 1 end
        end
      end
    end
  end
end
flush()

-- Count what was cancelled behind heads, and take headless chains off their lists.
local freed, headless = 0, {}
for id, c in pairs(chains) do
  if c then
    if c[C.state] == STATE.held then freed = freed + c.out end
    if c.out > 0 and (c[C.state] == STATE.held or not c.headless) then
      open_in_chain(id, batch, -c.out)
      c.out = 0
    end
    if c.headless then
      if c[C.state] == STATE.held then unhold(c, batch, now) end
      awake(c)
      if c[C.waiter_since] then redis.call('ZREM', P .. 'waiters:' .. c.token, id) end
      headless[#headless + 1] = id
    end
  end
end
if #headless > 0 then
  redis.call('ZREM', READY, unpack(headless))
  redis.call('ZREM', DUE, unpack(headless))
end

-- Headless chains go on with what is left of them. They pass over what this slice cancelled
-- without reading it again.
local idle, quit = {}, {}
for _, id in ipairs(headless) do
  local c = chains[id]
  local queue, over = P .. 'queue:' .. id, 0
  local refs = redis.call('LRANGE', queue, 0, c.behind)
  for _, ref in ipairs(refs) do
    local of, key, t = split(ref)
    if of ~= batch or ended[c.token .. key] ~= (t or '') then break end
    over = over + 1
  end
  if over == #refs then
    idle[#idle + 1] = c.key
    quit[#quit + 1] = c
    if over > 0 then idle[#idle + 1] = queue end
  else
    if c.out > 0 then open_in_chain(id, batch, -c.out) end
    if over > 0 then redis.call('LPOP', queue, over) end
    if advance(c, now) then set_ready(c, now) else quit[#quit + 1] = c end
  end
end
if #idle > 0 then redis.call('DEL', unpack(idle)) end
for _, c in ipairs(quit) do
  local other = pass_on(c, tonumber(ARGV[3]), now)
  if other and other.id then set_ready(other, now, true) end
end
if done > 0 then tally(batch, now, COUNT.cancelled, done, COUNT.blocked, 0 - freed) end
return { int(now), scan[1], done, redis.call('ZCARD', READY) }
