-- Receives calls of one bucket in the order given, and appends those that are new to their
-- chains. Atomic. New work: Redis refuses it when full, so nothing is written before a
-- command that needs memory. Reads and writes are gathered: a group costs few commands,
-- however many calls it has.
-- Each call ends as one of
--   n  new
--   m w h e  known: made, waits (or runs), held, ended otherwise. It is left as it is
--   c  conflict: its id is known for another server or chain. Nothing is changed
--   r  conflict with a call that was never sent (only with the flag r, and blocks nothing)
--   k  known by what it says, in a part of a file: nobody can tell whether it is meant (flag p)
--   b  new, but withheld, since an earlier row of its chain is missing
-- Unless the policy is skip, c and k block the later new calls of their chain. A call that was
-- pruned, or cancelled unsent with its batch, is new again: its attempt numbers go on.
-- A token gets the sealed form that is given. A batch that was cancelled takes nothing.
-- KEYS[1] prefix of the bucket
-- ARGV[1] batch  [2] policy
-- ARGV[3] flags: a dispatch the chains that become ready at once, d look only: nothing is written
--         and n says what would be, p a part of a file, r tell r,
--         o an earlier look said n: a known call whose token has the very sealed form that is given
--         now was appended by an earlier try of this command, whose reply was lost: it is n,
--         t a key may stand twice
-- ARGV[4] fingerprint of the token-ID key, '' for none: if the bucket has another one, nothing is
--         appended, and the reply is {now ms, that one}, '' if the bucket has lost its data
-- ARGV[5] until when the batch may be appended to, ms (Batches.Note); '' always
-- ARGV[6] names this group of calls, '' if nothing is to be kept of it: if its reply is lost and
--         the script runs again, it answers as it did at first
-- ARGV[7..] runs of calls of one chain and server: chain, sealed token,
--         '<b: withhold what is new><how many> <licences, none: not given> <due at ms, none: now> <server as JSON>';
--         then for each call its key, and what its record has behind the time
-- Reply: {now ms, -1, 0} if the batch was cancelled, {now ms, -2, 0} if it is too late, else
--        {now ms, added, known, 1 if the bucket needs a dispatch, else 0: chains are ready, or the group has
--         scheduled calls; the calls' letters as one string, how many c and r there are, then for each of
--         these the record that is known, then chain, dispatch ...}
local MANY = 32 -- so many calls at once are of a large batch
-- A hash or sorted set that once had an entry of more than 64 bytes is a table from then on.
-- Otherwise it begins as a list of up to 512 entries, which Redis searches from the
-- beginning for each call of a large batch.
local WIDE = string.rep('~', 65)
local ARGV = ARGV -- a local is read faster
local batch, policy = ARGV[1], ARGV[2]
local function flagged(letter) return string.find(ARGV[3], letter, 1, true) ~= nil end
local at_once, look, part, replaces, looked = flagged('a'), flagged('d'), flagged('p'), flagged('r'), flagged('o')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[4] ~= '' then
  local own = redis.call('HGET', P .. 'epoch', 'f') or ''
  if own ~= ARGV[4] then return { now, own } end
end
local stamp, calls, counts = int(now), P .. 'calls:' .. batch, P .. 'counts:' .. batch
local about = redis.call('HMGET', counts, COUNT.batch_cancelled, COUNT.policy, COUNT.total, COUNT.first_due, COUNT.last_due, COUNT.receipt)
local has, total = about[2], tonumber(about[3] or '0')
if about[1] then return { stamp, -1, 0 } end
if ARGV[5] ~= '' and now > tonumber(ARGV[5]) then return { stamp, -2, 0 } end

-- receipt is what became of each call when the script ran before, 'n' if all were new; nil: it did not.
local group, receipt = ARGV[6], nil
if group ~= '' and about[6] and string.sub(about[6], 1, #group + 1) == group .. ' ' then
  receipt = string.sub(about[6], #group + 2)
end

-- record is the text of a new call's record.
local function record(state, server, text) return '["' .. state .. '",' .. server .. ',' .. stamp .. text end

-- heads are what stands before the calls of runs. Many runs have the same head, so each is read once.
local heads = {}
local function read_head(text)
  local back, many, licenses, due, server = string.match(text, '^(b?)(%d+) (%d*) (%d*) (.*)$')
  local at = due ~= '' and tonumber(due) > now and due or nil
  heads[text] = { many = tonumber(many), licenses = licenses ~= '' and licenses or nil, at = at, withhold = back == 'b', server = server,
    open = record(at and 'd' or 'q', server, '') }
  return heads[text]
end

-- tokens are those of the group, in order; place is where each stands there. seals has its sealed form,
-- and more how many records were added for it. n is the number of calls.
local tokens, place, seals, more, n, last = {}, {}, {}, {}, 0, #ARGV
do
  local i, k = 7, 0
  while i < last do
    local id, text = ARGV[i], ARGV[i + 2]
    local token = #id == 24 and id or token_of(id) -- for most, no function is called
    local many = (heads[text] or read_head(text)).many
    if not place[token] then
      k = k + 1
      tokens[k], seals[k], place[token] = token, ARGV[i + 1], k
    end
    n = n + many
    i = i + 3 + 2 * many
  end
end

-- kept has the number of records and the sealed form of each token that was there. A token that was not has
-- no records: none of its calls is known, and none of its chains has something to do. have are the records.
local kept, have, old = redis.call('HMGET', P .. 'tokens', unpack(tokens)), {}, false
for k = 1, #tokens do old = old or kept[k] end
if old then
  local i, fields = 7, {}
  while i < last do
    local token, many = token_of(ARGV[i]), heads[ARGV[i + 2]].many
    i = i + 3
    for _ = 1, many do
      fields[#fields + 1] = token .. ARGV[i]
      i = i + 2
    end
  end
  have = redis.call('HMGET', calls, unpack(fields))
end

-- note_due notes, for people, when the batch's calls in this bucket are due: the first of
-- all, while none was due at once, and the last that was put off.
local function note_due(put_off, at_once_too, about)
  local total, first, last = about[3], tonumber(about[4]), tonumber(about[5])
  local begun = at_once_too or (total and not first)
  if first and begun then redis.call('HDEL', counts, COUNT.first_due) end
  if not put_off[1] then return end
  for j = 1, #put_off, 2 do
    local due = tonumber(put_off[j])
    first, last = math.min(first or due, due), math.max(last or due, due)
  end
  redis.call('HSET', counts, COUNT.last_due, int(last))
  if not begun then redis.call('HSET', counts, COUNT.first_due, int(first)) end
end

local told, blocked, given = {}, {}, {}

-- known_as returns the letter of a call whose record is there.
local function known_as(id, server, key, raw)
  local state, rec = string.sub(raw, 3, 3), nil
  if string.byte(key) == 61 then -- '=': an id that was given
    rec = cjson.decode(raw)
    if rec[R.server] ~= cjson.decode('[' .. server .. ']')[1] or (rec[R.chain] or '') ~= string.sub(id, 26) then
      told[#told + 1] = raw
      return replaces and (rec[R.attempts] or 0) == 0 and (is_open(state) or state == 'f') and 'r' or 'c'
    end
  elseif part then
    return 'k'
  end
  if state == 's' then return 'm' end
  if is_open(state) then return 'w' end
  if state == 'f' then
    local c = redis.call('HMGET', P .. 'chain:' .. id, C.state, C.head)
    if c[1] == STATE.held and c[2] == ref_of(batch, key, rec or cjson.decode(raw)) then return 'h' end
  end
  return 'e'
end

-- ours reports whether the last append for the token was an earlier try of this one: each append seals
-- the token anew, so no two have the same sealed form.
local function ours(token)
  local k = place[token]
  return kept[k] and string.match(kept[k], '^%d+:(.*)$') == seals[k]
end

local mine = 0 -- known calls that are new all the same
-- seen are the fields of calls that are new; nil unless a key may stand twice.
local records, delayed, gone, seen = {}, {}, {}, flagged('t') and {} or nil
-- chains are those that get calls. first_of has the reference of each one's first call, and more_of those behind it:
-- most chains get one call.
local chains, nchains, first_of, more_of = {}, 0, {}, {}
local letters -- nil while all are n
local added, known, fresh, revived = 0, 0, 0, 0
local reference, blocks, i, j, w = batch .. ' ', policy ~= 'skip', 7, 0, 0
while i < last do
  local id, h = ARGV[i], heads[ARGV[i + 2]]
  local token, first, refs, before = #id == 24 and id or token_of(id), first_of[id], more_of[id], fresh
  local licenses, at, open, withheld = h.licenses, h.at, h.open, h.withhold
  i = i + 3
  for _ = 1, h.many do
    j = j + 1
    local key, text, raw, letter = ARGV[i], ARGV[i + 1], have[j], 'n'
    local field = token .. key
    i = i + 2
    if seen and seen[field] then
      letter = 'w'
    elseif raw and string.sub(raw, 3, 3) ~= 'p' then
      local was = receipt and (receipt == 'n' and 'n' or string.sub(receipt, j, j))
      if was == 'n' then
        letter, mine = 'o', mine + 1
        if seen then seen[field] = true end
      else
        letter = known_as(id, h.server, key, raw)
      end
      if looked and letter ~= 'c' and letter ~= 'r' and ours(token) then letter, mine = 'o', mine + 1 end
      if blocks and (letter == 'c' or letter == 'k') then blocked[id] = true end
    elseif withheld or blocked[id] then
      letter = 'b'
    end
    if licenses and letter ~= 'b' and letter ~= 'c' and letter ~= 'k' then given[token] = licenses end
    if letter ~= 'n' then
      if not letters then
        letters = {}
        for k = 1, j - 1 do letters[k] = 'n' end
      end
      letters[j] = letter == 'o' and 'n' or letter
      if letter == 'm' or letter == 'w' or letter == 'h' or letter == 'e' then known = known + 1 end
    else
      if letters then letters[j] = 'n' end
      added = added + 1
      if seen then seen[field] = true end
      if not look then
        local ref, rec = reference .. key, nil
        if raw then
          rec, revived = revive(cjson.decode(raw), cjson.decode(record('q', h.server, text))), revived + 1
          ref = ref_of(batch, key, rec)
        else
          fresh = fresh + 1
        end
        local state = 'q'
        if has == 'cancel' and is_dropped(batch, id) then
          gone[#gone + 1] = { field, rec or cjson.decode(record('q', h.server, text)) }
        elseif at then
          state = 'd'
          delayed[#delayed + 1] = at
          delayed[#delayed + 1] = token .. ' ' .. reference .. key
        elseif not first then
          first, nchains = ref, nchains + 1
          chains[nchains], first_of[id] = id, ref
        elseif not refs then
          refs = { ref }
          more_of[id] = refs
        else
          refs[#refs + 1] = ref
        end
        records[w + 1] = field
        if rec then
          rec[R.state] = state
          records[w + 2] = encode(rec)
        else
          records[w + 2] = open .. text
        end
        w = w + 2
      end
    end
  end
  if fresh > before then
    local k = place[token]
    more[k] = (more[k] or 0) + fresh - before
  end
end
local function reply(standing, dispatches)
  local out = { stamp, added + mine, known, standing, letters and table.concat(letters) or string.rep('n', n), #told }
  for _, raw in ipairs(told) do out[#out + 1] = raw end
  for _, v in ipairs(dispatches) do out[#out + 1] = v end
  return out
end
if look then return reply(0, {}) end

-- widens: the group is large, and its batch has few calls here. After it, neither records nor tokens are a list.
local widens = added >= MANY and total < 2 * MANY
if added > 0 then
  if widens then records[#records + 1], records[#records + 2] = WIDE, '' end
  redis.call('HSET', calls, unpack(records))
  if widens then redis.call('HDEL', calls, WIDE) end
  note_due(delayed, chains[1] ~= nil, about)
  if delayed[1] then
    -- Calls that are due at the same time join their chain in the order in which they were
    -- given: each is due a microsecond after the one before.
    local many = #delayed / 2
    local before = redis.call('HINCRBY', P .. 'delays', 'n', many) - many
    for j = 1, many do
      delayed[2 * j - 1] = string.format('%.3f', delayed[2 * j - 1] + (before + j - 1) % 1000000 / 1000)
    end
    redis.call('ZADD', P .. 'delayed', unpack(delayed))
  end
end
for _, g in ipairs(gone) do end_call(batch, g[1], g[2], 'c', now) end
if gone[1] then tally(batch, now, COUNT.cancelled, #gone) end

-- The tokens: how many records use each, and its sealed form. That is always the one given
-- now, which mends a token whose sealing key was lost.
local values, v = {}, 0
for k = 1, #tokens do
  local many, had = more[k] or 0, kept[k]
  if had then many = many + tonumber(string.match(had, '^%d+')) end
  if had or many > 0 then
    values[v + 1], values[v + 2] = tokens[k], (many == 1 and '1:' or many .. ':') .. seals[k] -- a number is slow to be made a text
    v = v + 2
  end
end
if values[1] then
  if widens then values[v + 1], values[v + 2] = WIDE, '' end
  redis.call('HSET', P .. 'tokens', unpack(values))
  if widens then redis.call('HDEL', P .. 'tokens', WIDE) end
end
if added > 0 then
  local noted = { COUNT.changed, stamp, COUNT.total, int(total + fresh) }
  if not has and batch ~= SOLO then noted[5], noted[6] = COUNT.policy, policy end
  if group ~= '' then
    noted[#noted + 1] = COUNT.receipt
    noted[#noted + 1] = group .. ' ' .. (letters and table.concat(letters) or 'n')
  end
  redis.call('HSET', counts, unpack(noted))
end
if revived > 0 then tally(batch, now, COUNT.cancelled, -revived) end

-- The chains.
local ready, r, since, stuck, dispatches, open = {}, 0, int(now - FRESH), 0, {}, C.open_of .. batch
for c = 1, nchains do
  local id = chains[c]
  local first, refs, key = first_of[id], more_of[id], P .. 'chain:' .. id
  local many = refs and 1 + #refs or 1
  local state = old and kept[place[token_of(id)]] and redis.call('HGET', key, C.state)
  if state then
    redis.call('HINCRBY', key, open, many)
    redis.call('RPUSH', P .. 'queue:' .. id, first, unpack(refs or {}))
    if state == STATE.held then stuck = stuck + many end
  else
    if refs then redis.call('RPUSH', P .. 'queue:' .. id, unpack(refs)) end
    if at_once then
      dispatches[#dispatches + 1] = id
      dispatches[#dispatches + 1] = dispatch(new_chain(id, first, batch, many), now)
    else
      redis.call('HSET', key, C.state, STATE.ready, C.head, first, open, many == 1 and '1' or many)
      ready[r + 1], ready[r + 2] = since, id
      r = r + 2
    end
  end
end
if stuck > 0 then tally(batch, now, COUNT.blocked, stuck) end
local standing
if ready[1] then
  standing = 1
  local widen = r >= 2 * MANY and redis.call('ZCARD', READY) < 2 * MANY
  if widen then redis.call('ZADD', READY, since, WIDE) end
  redis.call('ZADD', READY, unpack(ready))
  if widen then redis.call('ZREM', READY, WIDE) end
else
  standing = redis.call('EXISTS', READY)
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
      -- Chains of a token that was there may wait for the quota: they look again.
      if kept[place[token]] then raised[#raised + 1] = token end
    end
  end
  if values[1] then redis.call('HSET', P .. 'licenses', unpack(values)) end
  if lent[1] then redis.call('SADD', P .. 'lent', unpack(lent)) end
  for _, token in ipairs(raised) do
    if recall(token, 'quota', now) then standing = 1 end
  end
end
if delayed[1] then standing = 1 end
return reply(standing, dispatches)
