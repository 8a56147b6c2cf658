-- Deletes the records of a batch in one bucket, a slice at a time, and with the last
-- record of a token its sealed token. Only for a batch with nothing open or held; a
-- record that is open all the same is kept. Each slice is atomic.
-- KEYS[1] prefix of the bucket
-- ARGV[1] batch  [2] cursor, '0' at first  [3] for calls of no batch: those that ended before, ms
-- Reply: {now ms, next cursor, '0' at the end, records deleted}
local now = quota.now()
outcome_first()
local batch, done = ARGV[1], 0

local function forget(field, state)
  redis.call('HDEL', P .. 'calls:' .. batch, field)
  done = done + 1
  local token = string.sub(field, 1, 24)
  local have = redis.call('HGET', P .. 'tokens', token)
  if have then
    local colon = string.find(have, ':', 1, true)
    local left = tonumber(string.sub(have, 1, colon - 1)) - 1
    if left > 0 then
      redis.call('HSET', P .. 'tokens', token, int(left) .. string.sub(have, colon))
    else
      redis.call('HDEL', P .. 'tokens', token)
      redis.call('HDEL', P .. 'licenses', token)
    end
  end
  if batch == SOLO then tally(batch, now, 't', -1, state, -1) end
end

if batch == SOLO then
  local fields = redis.call('ZRANGEBYSCORE', P .. 'old', '-inf', ARGV[3], 'LIMIT', 0, 200)
  for _, field in ipairs(fields) do
    redis.call('ZREM', P .. 'old', field)
    local rec = read(batch, field)
    local chain = rec and load_chain(chain_of(string.sub(field, 1, 24), rec[R.chain]))
    local held = chain and chain.s == 'h' and chain.h == batch .. ' ' .. string.sub(field, 25)
    if rec and not is_open(rec[R.state]) and not held then forget(field, rec[R.state]) end
  end
  return { int(now), #fields == 200 and '1' or '0', done }
end
local scan = redis.call('HSCAN', P .. 'calls:' .. batch, ARGV[2], 'COUNT', 200)
for i = 1, #scan[2], 2 do
  local state = cjson.decode(scan[2][i + 1])[R.state]
  if not is_open(state) then forget(scan[2][i], state) end
end
if scan[1] == '0' and redis.call('EXISTS', P .. 'calls:' .. batch) == 0 then
  redis.call('DEL', P .. 'counts:' .. batch, P .. 'dropped:' .. batch)
end
return { int(now), scan[1], done }
