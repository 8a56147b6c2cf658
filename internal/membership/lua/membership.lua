-- The membership of live processes, in one script: join, beat, leave and list.
--
-- KEYS[1]  sorted set, process id -> expiry in Unix ms
-- KEYS[2]  hash, process id -> record, JSON with an object "terms" of name -> text
-- ARGV[1]  "beat", "leave" or "list"
-- ARGV[2]  process id                                   ("beat", "leave")
-- ARGV[3]  record of the process                        ("beat")
-- ARGV[4]  how long it is alive from now on, in ms      ("beat")
--
-- Replies, an array of texts:
--   "beat"   {"kept"}           it was alive with this record, and is for longer
--            {"joined"}         it was not, nobody differs, and now it is
--            {"differs", ...}   the records of the live processes that have another value
--                               for one of its shared settings; it is not alive, nothing of it stays
--   "leave"  {"left"}           it is not alive, whether it was or not
--   "list"   {"alive", ...}     the records of all live processes, in no order
--
-- Guarantees: live processes agree in every shared setting that two of them have. A process is
-- alive until its expiry by the time of Redis, that moment excluded. The next beat or leave
-- forgets one that expired, with its shared settings. Every operation may be repeated, and works
-- when Redis is full.
-- A record that is no JSON is an error, and nothing was written for the caller.
-- "beat" of a live process costs O(1) and the ended ones; the others O(live processes).

local alive, records = KEYS[1], KEYS[2]
local op, id, record, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)

local function live()
  return redis.call('ZRANGE', alive, '(' .. string.format('%.0f', now), '+inf', 'BYSCORE') -- which every role may run
end

if op == 'list' then
  local reply = {'alive'}
  for _, other in ipairs(live()) do
    local r = redis.call('HGET', records, other)
    if r then reply[#reply + 1] = r end
  end
  return reply
end

local function forget(who)
  redis.call('ZREM', alive, who)
  redis.call('HDEL', records, who)
end

for _, ended in ipairs(redis.call('ZRANGEBYSCORE', alive, '-inf', string.format('%.0f', now))) do
  forget(ended)
end

if op == 'leave' then
  forget(id)
  return {'left'}
end

redis.call('ZREM', alive, '') -- Redis may be full: a write that needs no memory comes first
local outcome = 'kept'
if not redis.call('ZSCORE', alive, id) or redis.call('HGET', records, id) ~= record then
  local mine = cjson.decode(record).terms
  local reply = {'differs'}
  for _, other in ipairs(live()) do
    local theirs = other ~= id and redis.call('HGET', records, other)
    if theirs then
      for name, value in pairs(cjson.decode(theirs).terms) do
        if mine[name] ~= nil and mine[name] ~= value then
          reply[#reply + 1] = theirs
          break
        end
      end
    end
  end
  if #reply > 1 then
    forget(id)
    return reply
  end
  outcome = 'joined'
  redis.call('HSET', records, id, record)
end
redis.call('ZADD', alive, string.format('%.0f', now + ttl), id)
return {outcome}
