-- Appends calls of one bucket to their chains, in the order given. Atomic.
-- A call whose id is known is left as it is; its token is sealed anew. New work: refused where Redis is full, so
-- nothing is written before a command that needs memory. Reads and writes are gathered:
-- a group costs few commands, however many calls it has.
-- KEYS[1] prefix of the bucket
-- ARGV[1] batch  [2] policy  [3] 1: feed the chains that become ready at once
-- ARGV[4] fingerprint of the token-ID key, '' for none: where the bucket has another one nothing
--         is appended, and the reply is {now ms, that one}, '' where the bucket has lost its data
-- ARGV[5..] runs of calls of one chain: chain, sealed token, how many calls, or
--         '<how many> <licences, none: not given> <due at ms, none: now>'; then for each
--         call its key, and its record as a text for string.format, where %s stands for
--         the state and for the time
-- Reply: {now ms, added, known, chains ready in the bucket, next due ms of the scheduled
--         calls where the group has some ('0': it has none),
--         then for each call 1 added or 0 known as one string, then chain, feed ...}
local MANY = 32 -- so many calls at once are of a large batch
-- A hash or sorted set that once had an entry of more than 64 bytes is a table from then on.
-- By itself it would be a list of up to 512 entries first, in which each call of a large
-- batch is looked for from the beginning.
local WIDE = string.rep('~', 65)
local batch, policy, at_once = ARGV[1], ARGV[2], ARGV[3] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[4] ~= '' then
  local own = redis.call('HGET', P .. 'epoch', 'f') or ''
  if own ~= ARGV[4] then return { now, own } end
end
local stamp, calls, counts = int(now), P .. 'calls:' .. batch, P .. 'counts:' .. batch

local ids, keys, texts, fields, ats, seals, given = {}, {}, {}, {}, {}, {}, {}
local n, i, last = 0, 5, #ARGV
while i < last do
  local id, many = ARGV[i], tonumber(ARGV[i + 2])
  local token, at = string.sub(id, 1, 24), nil
  if not many then
    local count, licenses, due = string.match(ARGV[i + 2], '^(%d+) (%d*) (%d*)$')
    many = tonumber(count)
    if licenses ~= '' then given[token] = licenses end
    if due ~= '' and tonumber(due) > now then at = due end
  end
  seals[token] = seals[token] or ARGV[i + 1]
  i = i + 3
  for _ = 1, many do
    n = n + 1
    ids[n], keys[n], texts[n], fields[n], ats[n] = id, ARGV[i], ARGV[i + 1], token .. ARGV[i], at
    i = i + 2
  end
end

-- note_due keeps for people when the batch's calls in this bucket are due: e, the first of
-- all, while none was due at once, and l, the last that was put off.
local function note_due(put_off, at_once_too, about)
  local total, first, last = about[3], tonumber(about[4]), tonumber(about[5])
  local begun = at_once_too or (total and not first)
  if first and begun then redis.call('HDEL', counts, 'e') end
  if not put_off[1] then return end
  for j = 1, #put_off, 2 do
    local due = tonumber(put_off[j])
    first, last = math.min(first or due, due), math.max(last or due, due)
  end
  redis.call('HSET', counts, 'l', int(last))
  if not begun then redis.call('HSET', counts, 'e', int(first)) end
end

local size = redis.call('HLEN', calls)
local have = size > 0 and redis.call('HMGET', calls, unpack(fields)) or {}
local about = redis.call('HMGET', counts, 'x', 'p', 't', 'e', 'l')
local ended, has = about[1], about[2]
if not has and batch ~= SOLO then
  redis.call('HSET', counts, 'p', policy)
  has = policy
end
local records, delayed, gone, seen, more = {}, {}, {}, {}, {} -- more: calls added, by token
local chains, waiting, added, news = {}, {}, 0, {}
for j = 1, n do
  local field, id = fields[j], ids[j]
  if have[j] or seen[field] then
    news[j] = '0'
  else
    seen[field], news[j], added = true, '1', added + 1
    local token, state = string.sub(id, 1, 24), 'q'
    more[token] = (more[token] or 0) + 1
    if ended or (has == 'cancel' and is_dropped(batch, id)) then
      gone[#gone + 1] = j
    elseif ats[j] then
      state = 'd'
      delayed[#delayed + 1] = ats[j]
      delayed[#delayed + 1] = token .. ' ' .. batch .. ' ' .. keys[j]
    elseif waiting[id] then
      local refs = waiting[id]
      refs[#refs + 1] = batch .. ' ' .. keys[j]
    else
      chains[#chains + 1] = id
      waiting[id] = { batch .. ' ' .. keys[j] }
    end
    records[#records + 1] = field
    records[#records + 1] = string.format(texts[j], state, stamp)
  end
end
if added > 0 then
  local widen = added >= MANY and size <= 512
  if widen then records[#records + 1], records[#records + 2] = WIDE, '' end
  redis.call('HSET', calls, unpack(records))
  if widen then redis.call('HDEL', calls, WIDE) end
  if delayed[1] then redis.call('ZADD', DELAYED, unpack(delayed)) end
  note_due(delayed, chains[1] ~= nil, about)
end
for _, j in ipairs(gone) do
  end_call(batch, fields[j], cjson.decode(string.format(texts[j], 'q', stamp)), 'c', now)
end
if gone[1] then tally(batch, now, 'c', #gone) end

-- The tokens: how many records use each, and its sealed form, which is always the one given
-- now: it mends a token whose sealing key was lost. A token that was not there has no
-- records, and so no chain that has something to do.
local tokens, known, values = {}, {}, {}
for token in pairs(seals) do tokens[#tokens + 1] = token end
for j, kept in ipairs(redis.call('HMGET', P .. 'tokens', unpack(tokens))) do
  local token = tokens[j]
  local before = kept and tonumber(string.match(kept, '^%d+')) or 0
  if kept then known[token] = true end
  if kept or more[token] then
    values[#values + 1], values[#values + 2] = token, int(before + (more[token] or 0)) .. ':' .. seals[token]
  end
end
if values[1] then
  local widen = #tokens >= MANY and redis.call('HLEN', P .. 'tokens') == 0
  if widen then values[#values + 1], values[#values + 2] = WIDE, '' end
  redis.call('HSET', P .. 'tokens', unpack(values))
  if widen then redis.call('HDEL', P .. 'tokens', WIDE) end
end
if added > 0 then tally(batch, now, 't', added) end

-- The chains.
local ready, since, blocked, fed = {}, int(now - FRESH), 0, {}
for _, id in ipairs(chains) do
  local refs, key = waiting[id], P .. 'chain:' .. id
  local state = known[string.sub(id, 1, 24)] and redis.call('HGET', key, 's')
  if state then
    redis.call('HINCRBY', key, 'o:' .. batch, #refs)
    redis.call('RPUSH', P .. 'queue:' .. id, unpack(refs))
    if state == 'h' then blocked = blocked + #refs end
  else
    local c = new_chain(id, refs[1], batch, #refs)
    if refs[2] then redis.call('RPUSH', P .. 'queue:' .. id, unpack(refs, 2)) end
    if at_once then
      fed[#fed + 1] = id
      fed[#fed + 1] = feed(c, now)
    else
      ready[#ready + 1] = since
      ready[#ready + 1] = id
    end
  end
end
if blocked > 0 then tally(batch, now, 'b', blocked) end
local standing = redis.call('ZCARD', READY)
if ready[1] then
  local widen = #ready >= 2 * MANY and standing <= 128
  if widen then redis.call('ZADD', READY, since, WIDE) end
  standing = standing + redis.call('ZADD', READY, unpack(ready))
  if widen then redis.call('ZREM', READY, WIDE) end
end

if next(given) then
  local who, values, raised = {}, {}, {}
  for token in pairs(given) do who[#who + 1] = token end
  local before, lent = redis.call('HMGET', P .. 'licenses', unpack(who)), {}
  for j, token in ipairs(who) do
    if before[j] ~= given[token] then
      values[#values + 1] = token
      values[#values + 1] = given[token]
      if not before[j] then lent[#lent + 1] = token end -- licences that were set to stay do
      -- Chains of a token that was there wait for the quota, perhaps: they look again.
      if known[token] then raised[#raised + 1] = token end
    end
  end
  if values[1] then redis.call('HSET', P .. 'licenses', unpack(values)) end
  if lent[1] then redis.call('SADD', P .. 'lent', unpack(lent)) end
  for _, token in ipairs(raised) do
    if recall(token, 'quota', now) then standing = math.max(standing, 1) end
  end
end
local due = delayed[1] and redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')[2] or '0'
local reply = { stamp, added, n - added, standing, due, table.concat(news) }
for _, v in ipairs(fed) do reply[#reply + 1] = v end
return reply
