-- Appends calls of one bucket to their chains, in the order given. Atomic.
-- A call whose id is known is left as it is. New work: refused where Redis is full.
-- KEYS[1] prefix of the bucket
-- ARGV[1] batch  [2] policy  [3] 1: feed the chains that become ready at once
-- ARGV[4..] for each call, 7: chain, key, server, ref, licences ('' not given),
--         sealed token, due at ms ('' now)
-- Reply: {now ms, added, known, chains ready or delayed in the bucket, next due ms,
--         then for each call 1 added or 0 known as one string, then chain, feed ...}
local now = quota.now()
local batch, policy, at_once = ARGV[1], ARGV[2], ARGV[3] == '1'
local counts = P .. 'counts:' .. batch
local added, known, news, fed = 0, 0, {}, {}
local tokens, states = {}, {}
local ended = redis.call('HGET', counts, 'x')
if batch ~= SOLO then redis.call('HSETNX', counts, 'p', policy) end
local drops = redis.call('HGET', counts, 'p') == 'cancel'
local gone, blocked, raised = 0, 0, {}
for i = 4, #ARGV, 7 do
  local id, key, licenses, at = ARGV[i], ARGV[i + 1], ARGV[i + 4], ARGV[i + 6]
  local token = token_of(id)
  local rec = { 'q', ARGV[i + 2], now, ARGV[i + 3] }
  local name = string.sub(id, 26)
  if name ~= '' then rec[R.chain] = name end
  local later = at ~= '' and tonumber(at) > now
  if later then rec[R.state] = 'd' end
  local dropped = ended or (drops and is_dropped(batch, id))
  if redis.call('HSETNX', P .. 'calls:' .. batch, token .. key, cjson.encode(rec)) == 0 then
    known = known + 1
    news[#news + 1] = '0'
  else
    added = added + 1
    news[#news + 1] = '1'
    local t = tokens[token]
    if not t then
      local have = redis.call('HGET', P .. 'tokens', token)
      if have then
        local colon = string.find(have, ':', 1, true)
        t = { tonumber(string.sub(have, 1, colon - 1)), string.sub(have, colon + 1) }
      else
        t = { 0, ARGV[i + 5] }
      end
      tokens[token] = t
    end
    t[1] = t[1] + 1
    if dropped then
      end_call(batch, token .. key, rec, 'c', now)
      gone = gone + 1
    elseif later then
      redis.call('ZADD', DELAYED, at, token .. ' ' .. batch .. ' ' .. key)
    else
      local state = states[id]
      if state == nil then
        state = redis.call('HGET', P .. 'chain:' .. id, 's')
        states[id] = state or 'r'
      end
      if state then
        redis.call('RPUSH', P .. 'queue:' .. id, batch .. ' ' .. key)
        redis.call('HINCRBY', P .. 'chain:' .. id, 'o:' .. batch, 1)
        if state == 'h' then blocked = blocked + 1 end
      else
        local c = { id = id, key = P .. 'chain:' .. id, token = token }
        redis.call('HSET', c.key, 'h', batch .. ' ' .. key, 'o:' .. batch, '1')
        set_ready(c, now, true)
        if at_once then
          fed[#fed + 1] = id
          fed[#fed + 1] = feed(c, now)
          states[id] = 'f'
        end
      end
    end
  end
  if licenses ~= '' then
    local have = redis.call('HGET', P .. 'licenses', token)
    if have ~= licenses then
      redis.call('HSET', P .. 'licenses', token, licenses)
      raised[token] = true
    end
  end
end
-- Chains that wait for the quota look again: there may be more of it now.
if next(raised) then recall(raised, 'quota', now) end
for token, t in pairs(tokens) do
  redis.call('HSET', P .. 'tokens', token, int(t[1]) .. ':' .. t[2])
end
if added > 0 then
  tally(batch, now, 't', added)
  if gone > 0 then tally(batch, now, 'c', gone) end
  if blocked > 0 then tally(batch, now, 'b', blocked) end
end
local delayed = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
local reply = { int(now), added, known, redis.call('ZCARD', READY), delayed[2] or '0', table.concat(news) }
for _, v in ipairs(fed) do reply[#reply + 1] = v end
return reply
