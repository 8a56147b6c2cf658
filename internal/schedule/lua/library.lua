-- What the scripts of a schedule share. KEYS[2] is for once.lua of the ledger. All keys of a script live under
-- KEYS[1], the prefix of one schedule with its hash tag ("habilita:{s:abc}:"), so that a script
-- touches one Redis Cluster slot and is atomic. Times are ms by the clock of Redis.
--
--   schedule         hash  what State has (decode in definition.go reads it)
--   rows:<revision>  hash  number of a chunk -> up to 500 rows, sealed
--   passed:<claim>   hash  chains that a run passes over, those held when it began;
--                          <claim> is the number of the run's first claim
--   runs             list  the last 20 runs, JSON, the newest first
--   told:<name>      string what a script answered (once), for a minute
local P = KEYS[1]
local S = P .. 'schedule'
local KEPT = 20       -- runs in the history
local DAY = 86400000

local function int(n) return string.format('%.0f', n) end

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function get(name) return redis.call('HGET', S, name) end

-- fresh gives a counter its next number: at least the time in microseconds, so that a schedule
-- that is removed and added again has no number twice.
local function fresh(name)
  local t = redis.call('TIME')
  local n = math.max(tonumber(get(name) or '0') + 1, tonumber(t[1]) * 1000000 + tonumber(t[2]))
  redis.call('HSET', S, name, int(n))
  return int(n)
end

-- change gives the schedule another version: what a worker decided about the old one is refused.
local function change() fresh('version') end

-- holds tells whether a claim still has the number: nobody took it over or removed it.
local function holds(number) return get('claim') == number end

local function remember(run, at)
  local record = cjson.decode(run)
  record['finished'] = at
  redis.call('LPUSH', P .. 'runs', cjson.encode(record))
  redis.call('LTRIM', P .. 'runs', 0, KEPT - 1)
end

-- unclaim removes the claim, and what only the claim needed.
local function unclaim()
  local was = redis.call('HMGET', S, 'claim_first', 'claim_revision', 'revision')
  if was[1] then redis.call('UNLINK', P .. 'passed:' .. was[1]) end
  if was[2] and was[2] ~= was[3] then redis.call('UNLINK', P .. 'rows:' .. was[2]) end
  redis.call('HDEL', S, 'claim', 'claim_until', 'claim_started', 'claim_kind', 'claim_tick', 'claim_batch',
    'claim_revision', 'claim_rows', 'claim_policy', 'claim_pile_up', 'claim_missed', 'claim_decided', 'claim_tries', 'claim_error', 'claim_first')
end
