-- Deletes the records of a batch in one bucket, a slice at a time. With a token's last record it
-- deletes its sealed token, and its licences if they came with calls. A record that is open, or is
-- the failed head of a held chain, is kept whatever the caller believes. Each slice is atomic.
-- KEYS[1] prefix of the bucket
-- ARGV[1] batch  [2] cursor, '0' at first  [3] for calls of no batch: those that ended before, ms
-- Reply: {now ms, next cursor, '0' at the end, records deleted}
local now = quota.now()
outcome_first()
local batch, done, less = ARGV[1], 0, {}

local function forget(field, rec)
  local token, key, state = string.sub(field, 1, 24), string.sub(field, 25), rec[R.state]
  if is_open(state) then return end
  if state == 'f' then
    local c = load_chain(chain_of(token, rec[R.chain]))
    if c and c[C.state] == STATE.held and c[C.head] == ref_of(batch, key, rec) then return end
  end
  redis.call('HDEL', P .. 'calls:' .. batch, field)
  done = done + 1
  if state == 'p' then state = 'c' end
  less[state] = (less[state] or 0) + 1
  local have = redis.call('HGET', P .. 'tokens', token)
  if have then
    local colon = string.find(have, ':', 1, true)
    local left = tonumber(string.sub(have, 1, colon - 1)) - 1
    if left > 0 then
      redis.call('HSET', P .. 'tokens', token, int(left) .. string.sub(have, colon))
    else
      redis.call('HDEL', P .. 'tokens', token)
      -- Licences that did not come with calls stay.
      if redis.call('SREM', P .. 'lent', token) == 1 then redis.call('HDEL', P .. 'licenses', token) end
    end
  end
end

local cursor
if batch == SOLO then
  local fields = redis.call('ZRANGEBYSCORE', P .. 'old', '-inf', ARGV[3], 'LIMIT', 0, 200)
  for _, field in ipairs(fields) do
    redis.call('ZREM', P .. 'old', field)
    local rec = read(batch, field)
    if rec then forget(field, rec) end
  end
  cursor = #fields == 200 and '1' or '0'
else
  local scan = redis.call('HSCAN', P .. 'calls:' .. batch, ARGV[2], 'COUNT', 200)
  for i = 1, #scan[2], 2 do forget(scan[2][i], cjson.decode(scan[2][i + 1])) end
  cursor = scan[1]
end
-- The time of the last change stays: it says how old the batch is.
for state, n in pairs(less) do
  redis.call('HINCRBY', P .. 'counts:' .. batch, state, -n)
  redis.call('HINCRBY', P .. 'counts:' .. batch, COUNT.total, -n)
end
if batch ~= SOLO and cursor == '0' and redis.call('EXISTS', P .. 'calls:' .. batch) == 0 then
  redis.call('DEL', P .. 'counts:' .. batch, P .. 'dropped:' .. batch)
end
return { int(now), cursor, done }
