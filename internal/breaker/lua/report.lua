-- Adds what a worker saw of servers, and switches those that failed too often or answered. Atomic.
-- KEYS[1] the hash of servers
-- ARGV[1] failures in a row that open it  [2] chains that they must be of, at least
-- ARGV[3] distance to the first probe, ms  [4] the greatest distance, ms
-- then for each server: name, requests, failures, failures since its last answer,
--   1 where it answered, chains that failed since (spaces between), 1 where a probe failed
-- Reply: {server, 'open' or 'closed', for each that switched}
redis.call('HDEL', KEYS[1], '') -- Redis may be full: a write that needs no memory comes first
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local reply = {}
local WINDOW = 300000 -- requests are counted for this window and the one before

local function union(a, b)
  local seen, all = {}, {}
  for word in string.gmatch(a .. ' ' .. b, '%S+') do
    if not seen[word] and #all < tonumber(ARGV[2]) then
      seen[word] = true
      all[#all + 1] = word
    end
  end
  return table.concat(all, ' '), #all
end

for i = 5, #ARGV, 7 do
  local name, requests, fails, tail = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local raw = redis.call('HGET', KEYS[1], name)
  local s = raw and cjson.decode(raw)
    or { state = 'closed', since = now, next = 0, step = 0, run = 0, chains = '', w = 0, req = 0, fail = 0, preq = 0, pfail = 0 }
  local was, w = s.state, math.floor(now / WINDOW)
  if s.w ~= w then
    local last = s.w == w - 1
    s.preq, s.pfail, s.req, s.fail, s.w = last and s.req or 0, last and s.fail or 0, 0, 0, w
  end
  s.req, s.fail = s.req + requests, s.fail + fails
  if ARGV[i + 4] == '1' then
    s.run, s.chains = tail, ''
    s.state, s.next, s.step = 'closed', 0, 0
  else
    s.run = s.run + fails
  end
  local chains
  s.chains, chains = union(s.chains, ARGV[i + 5])
  if s.state == 'closed' and s.run >= tonumber(ARGV[1]) and chains >= tonumber(ARGV[2]) then
    s.state, s.step = 'open', tonumber(ARGV[3])
    s.next = now + s.step
  elseif s.state ~= 'closed' and ARGV[i + 6] == '1' then
    s.state, s.step = 'open', math.min(s.step * 2, tonumber(ARGV[4]))
    s.next = now + s.step
  end
  if (was == 'closed') ~= (s.state == 'closed') then
    s.since = now
    reply[#reply + 1] = name
    reply[#reply + 1] = s.state
  end
  redis.call('HSET', KEYS[1], name, cjson.encode(s))
end
return reply
