-- quota: the functions that grant, release and give back a token's slots and
-- count its requests of a day. Every script of this package is what it uses of this library
-- (package lualink) and a few lines after it. A program that must grant and write something of
-- its own in one step makes its script in the same way (quota.Library).
--
-- prefix    ends in the hash tag of the token ("habilita:{k7}:"), so all keys of
--           a token live in one Redis Cluster slot
-- token     a name of the token, never the token itself
-- times     milliseconds since 1970 by the clock of Redis
--
-- Keys under the prefix:
--   slots:<token>        zset   nonce of an attempt -> end of its lease
--   waiters:<token>      zset   who waits for a slot -> since when. Told by its form:
--                               '~<limiter>.<n>' waits in Limiter.Acquire; the token's name
--                               itself, or with ':<name>', is a chain of the workers
--   used:<token>:<day>   string requests granted for that day
--   cooling:<token>      hash   until, why, probe (next try before), step
--   told:<name>          string there for a minute after a lift of that name (cool.lua)
--   licenses             hash   token -> licences that were given explicitly
--   lent                 set    of these, the tokens whose licences came with calls: they go
--                               with the last call; the others stay
--   epoch                hash   e: since when slots and counts may be missing, in ms (0: they
--                               never were); who keeps the bucket makes it
--   chain:<id>, due, ready      of the workers' ledger: see offer and recall
-- All are built from the prefix that is KEYS[1], which stands for the hash tag that they
-- share. KEYS[2] is a name that is no key: see redisconn.BucketKeys.
local quota = {}

-- texts are numbers as text: to make one takes Redis as long as half a command.
local texts = { [0] = '0', '1', '2' }

-- int is a number as text without an exponent. redis.call, a reply and .. write a number below 10^14
-- whole too, but each time anew: a number that is written often, such as now, goes through int.
local function int(n)
  local text = texts[n]
  if not text then
    if n < 2147483648 then -- %d is several times as fast as %.0f, but has 32 bits in a 32-bit Redis
      text = string.format('%d', n)
    elseif n < 2147483648000 then
      local low = n % 1000
      text = string.format('%d%03d', (n - low) / 1000, low)
    else
      text = string.format('%.0f', n)
    end
    texts[n] = text
  end
  return text
end

function quota.now()
  local t = redis.call('TIME')
  local text = t[1] .. string.sub('00000' .. t[2], -6, -4)
  local now = tonumber(text)
  texts[now] = text
  return now
end

-- The 14 arguments that Settings.Args writes, from ARGV[i] on. Most scripts need few of them: the others
-- become numbers where they are used.
function quota.settings(i)
  return { at = i, slots = tonumber(ARGV[i]), lease = tonumber(ARGV[i + 1]), guard = tonumber(ARGV[i + 3]) }
end

-- start_of returns when one of the four days begins, or the one after them; name_of returns its name.
local function start_of(s, d)
  if not s[d] then s[d] = tonumber(ARGV[s.at + 3 + 2 * d]) end
  return s[d]
end
local function name_of(s, d) return ARGV[s.at + 4 + 2 * d] end

-- day_of returns the day of a time, 1 to 3, and when it begins and ends; nil if it is on none of them. Mostly it is on
-- the second.
local function day_of(s, at)
  local second, third = start_of(s, 2), start_of(s, 3)
  if at >= second and at < third then return 2, second, third end
  local first, fourth = start_of(s, 1), start_of(s, 4)
  if at >= first and at < second then return 1, first, second end
  if at >= third and at < fourth then return 3, third, fourth end
  return nil
end

function quota.licenses(prefix, token, s)
  return tonumber(redis.call('HGET', prefix .. 'licenses', token) or ARGV[s.at + 2])
end

-- crosses tells whether a request may count on the next day too, if it is granted at a time of the day that
-- ends at midnight: it can reach the vendor until its lease ends, and the vendor's clock may be ahead by the
-- guard.
local function crosses(s, midnight, at) return at + s.lease + s.guard >= midnight end

local function used(prefix, token, day)
  return tonumber(redis.call('GET', prefix .. 'used:' .. token .. ':' .. day)) or 0
end

-- count counts a request on a day. Returns the day's requests with it.
local function count(prefix, token, s, d)
  local key = prefix .. 'used:' .. token .. ':' .. name_of(s, d)
  local n = redis.call('INCR', key)
  if n == 1 then redis.call('PEXPIREAT', key, start_of(s, d + 1) + 2 * 86400000) end
  return n
end

-- uncount takes off what count counted; twice: on the next day too.
local function uncount(prefix, token, s, d, twice) -- rare
  redis.call('DECR', prefix .. 'used:' .. token .. ':' .. name_of(s, d))
  if twice then uncount(prefix, token, s, d + 1) end
end

local function refuse(why, until_ms, now) -- rare
  if until_ms <= now then until_ms = now + 1 end
  return { why = why, until_ms = until_ms }
end

-- regrant returns the grant that this nonce holds already, or nil: a client sends a
-- command again when its reply was lost. Nothing is counted and no lease moves.
local function regrant(prefix, token, nonce, s, now)
  local ends = redis.call('ZSCORE', prefix .. 'slots:' .. token, nonce)
  if not ends or tonumber(ends) <= now then return nil end
  ends = tonumber(ends)
  local d, _, midnight = day_of(s, ends - s.lease)
  if not d then return nil end
  local days = name_of(s, d)
  if crosses(s, midnight, ends - s.lease) then days = days .. ',' .. name_of(s, d + 1) end
  return { granted = true, ends = ends, days = days, used = used(prefix, token, name_of(s, d)),
    limit = quota.licenses(prefix, token, s) * 1000, reclaimed = 0,
    others = redis.call('ZCOUNT', prefix .. 'slots:' .. token, '(' .. now, '+inf') - 1 }
end

-- frozen returns until when nothing is granted in this bucket, since Redis may have lost slots
-- that are held: one lease from the epoch's e on. ARGV has not_before, below 0 if the caller knows
-- that the bucket has an epoch: if it has none then, the data was lost, now at the latest.
-- not_before is what the caller itself knows of losses: an epoch from before them belongs to data
-- that went back. Both are written to the epoch, for all that come later.
local function frozen(prefix, s, now)
  local key, not_before = prefix .. 'epoch', tonumber(ARGV[s.at + 4])
  local e, known = redis.call('HGET', key, 'e'), not_before < 0
  not_before = math.abs(not_before)
  if not e and not known then return not_before end
  local since = e and tonumber(e) or 0
  local to = math.max(since, e and not_before - s.lease or now)
  if to > now then to = now end -- never in the future: the clock may have been put back
  if to ~= since then redis.call('HSET', key, 'e', int(to)) end
  return to > 0 and math.max(to + s.lease, not_before) or not_before
end

-- grant: a slot under a lease and a count on the day (both days if the lease and the
-- guard cross midnight), or why not and until when: 'restart', 'clock' (the days in s
-- do not cover now), 'midnight', 'cooling', 'quota', 'slots'. A waiter ('' for none)
-- that is refused a slot is queued by its arrival. since is when a waiter that may be
-- in the queue came there (0: it is not there). The nonce must be new for every
-- attempt. calm: the caller knows that the token does not cool.
function quota.grant(prefix, token, nonce, waiter, since, s, now, calm)
  local thaws = frozen(prefix, s, now)
  if now < thaws then return refuse('restart', thaws, now) end
  local d, begun, midnight = day_of(s, now)
  if not d then return refuse('clock', now + 1000, now) end
  local slots = prefix .. 'slots:' .. token
  local busy = redis.call('ZCARD', slots)
  local again = busy > 0 and regrant(prefix, token, nonce, s, now)
  if again then return again end
  if now < begun + s.guard then return refuse('midnight', begun + s.guard, now) end
  if now >= midnight - s.guard then return refuse('midnight', midnight + s.guard, now) end

  local cooling = prefix .. 'cooling:' .. token
  local cool = not calm and redis.call('EXISTS', cooling) == 1 and redis.call('HMGET', cooling, 'until', 'why', 'probe', 'step') or {}
  local probing = false
  if cool[1] and tonumber(cool[1]) > now then
    local probe = tonumber(cool[3] or '0')
    if probe == 0 or now < probe then
      local till = tonumber(cool[1])
      if probe > 0 and probe < till then till = probe end
      local r = refuse('cooling', till, now)
      r.detail = cool[2] or ''
      return r
    end
    probing = true
  end

  -- Count at once, and take it off again if the request is refused: most are granted, and need no read of the count.
  local limit = quota.licenses(prefix, token, s) * 1000
  local today = count(prefix, token, s, d)
  if today > limit then
    uncount(prefix, token, s, d)
    return refuse('quota', midnight + s.guard, now)
  end
  local days = name_of(s, d)
  local twice = crosses(s, midnight, now)
  if twice then
    days = days .. ',' .. name_of(s, d + 1)
    if count(prefix, token, s, d + 1) > limit then
      uncount(prefix, token, s, d, twice)
      return refuse('quota', start_of(s, d + 2) + s.guard, now)
    end
  end

  local reclaimed = busy > 0 and redis.call('ZREMRANGEBYSCORE', slots, '-inf', now) or 0
  busy = busy - reclaimed
  if busy >= s.slots then
    uncount(prefix, token, s, d, twice)
    local first = redis.call('ZRANGE', slots, 0, 0, 'WITHSCORES')
    if waiter ~= '' then
      -- A waiter comes back when the first lease ends: if nobody touched a queue for a
      -- day after that, nobody waits in it.
      local waiters = prefix .. 'waiters:' .. token
      redis.call('ZADD', waiters, 'NX', since > 0 and since or now, waiter)
      redis.call('PEXPIREAT', waiters, tonumber(first[2]) + 86400000)
    end
    local r = refuse('slots', tonumber(first[2]), now)
    r.reclaimed = reclaimed
    return r
  end

  local ends = now + s.lease
  redis.call('ZADD', slots, int(ends), nonce)
  -- The key lives as long as the last lease: one that was granted for longer may still run.
  local last = ends
  if busy > 0 then last = tonumber(redis.call('ZREVRANGE', slots, 0, 0, 'WITHSCORES')[2]) end
  redis.call('PEXPIREAT', slots, last + 1000)
  if probing then
    -- One probe at a time: the interval to the next one doubles, to four hours at most.
    local step = math.min(math.max(tonumber(cool[4] or '0'), 60000) * 2, 14400000)
    redis.call('HSET', cooling, 'probe', int(ends + step), 'step', int(step))
  end
  if since > 0 then redis.call('ZREM', prefix .. 'waiters:' .. token, waiter) end
  return { granted = true, ends = ends, days = days, used = today, limit = limit,
    reclaimed = reclaimed, probing = probing, others = busy }
end

-- wake: if a slot is free, takes the waiter that waited longest out of the queue;
-- returns it, or nil.
function quota.wake(prefix, token, slots, now) -- rare
  local waiters = prefix .. 'waiters:' .. token
  if redis.call('EXISTS', waiters) == 0 then return nil end
  local busy = redis.call('ZCOUNT', prefix .. 'slots:' .. token, '(' .. now, '+inf')
  if busy >= slots then return nil end
  return redis.call('ZPOPMIN', waiters)[1]
end

-- is_chain tells whether a waiter is a chain of the workers.
function quota.is_chain(token, waiter) -- rare
  local rest = string.sub(waiter, #token + 1, #token + 1)
  return string.sub(waiter, 1, #token) == token and (rest == '' or rest == ':')
end

-- tell: tells a waiter of Limiter.Acquire, on the channel of its limiter, that it was woken.
-- Returns whether anybody heard it. In a cluster, only the listeners of this node are known,
-- so others may be woken too. A Redis that does not let us publish costs speed, not the
-- release: such a waiter comes back when the first lease ends.
function quota.tell(prefix, waiter) -- rare
  local limiter = string.match(waiter, '^~([^.]+)%.') or ''
  local heard = redis.pcall('PUBLISH', string.match(prefix, '^[^{]*') .. 'woken:' .. limiter, waiter)
  return type(heard) == 'number' and heard > 0
end

-- offer: offers a free slot to the waiter that waited longest and can be reached. A chain
-- is ready from then on: the script's caller must signal its bucket. Returns the waiter, or
-- nil, and whether it is a chain.
function quota.offer(prefix, token, slots, now) -- rare
  for _ = 1, 8 do
    local waiter = quota.wake(prefix, token, slots, now)
    if not waiter then return nil, false end
    if quota.is_chain(token, waiter) then
      local key = prefix .. 'chain:' .. waiter
      if redis.call('HGET', key, 's') == 'l' then -- it still waits for a slot (the ledger's C.state and STATE)
        redis.call('HSET', key, 's', 'r')
        redis.call('ZREM', prefix .. 'due', waiter)
        redis.call('ZADD', prefix .. 'ready', now, waiter)
        return waiter, true
      end
    elseif quota.tell(prefix, waiter) then
      return waiter, false
    end
  end
  return nil, false
end

-- recall: makes the workers' chains of a token that wait for this reason look again. It sets
-- a timer, which their dispatch works off a slice at a time, so that any number may wait.
-- Returns 1 if the script's caller must signal the bucket.
function quota.recall(prefix, token, why, now) -- rare
  if redis.call('EXISTS', prefix .. 'due') == 0 then return 0 end
  redis.call('ZADD', prefix .. 'due', now, '!' .. int(now) .. ' ' .. why .. ' ' .. token)
  return 1
end

-- release: frees the slot of this nonce; true if it was still its own. A slot whose
-- lease has ended still is, until it is reclaimed.
function quota.release(prefix, token, nonce)
  return redis.call('ZREM', prefix .. 'slots:' .. token, nonce) == 1
end

-- give_back: as release, and takes the request off the days it was counted on: for
-- a request that certainly was not sent.
function quota.give_back(prefix, token, nonce, days) -- rare
  if not quota.release(prefix, token, nonce) then return false end
  for day in string.gmatch(days, '[^,]+') do
    local key = prefix .. 'used:' .. token .. ':' .. day
    if (tonumber(redis.call('GET', key)) or 0) > 0 then redis.call('DECR', key) end
  end
  return true
end

-- cool: no grant for the token until until_ms. probe_after > 0: lets one gentle try
-- through after so many milliseconds, and then at growing intervals. A cooling that
-- lasts longer is not shortened.
function quota.cool(prefix, token, until_ms, why, probe_after, now) -- rare
  local key = prefix .. 'cooling:' .. token
  local have = redis.call('HMGET', key, 'until', 'why')
  local till = tonumber(have[1] or '0')
  if till > now and till > until_ms then return till end
  if till <= now or have[2] ~= why then redis.call('DEL', key) end
  redis.call('HSET', key, 'until', int(until_ms), 'why', why)
  if probe_after > 0 then
    redis.call('HSETNX', key, 'step', int(probe_after))
    redis.call('HSETNX', key, 'probe', int(now + probe_after))
  end
  redis.call('PEXPIREAT', key, int(until_ms))
  return until_ms
end

function quota.lift(prefix, token) -- rare
  return redis.call('DEL', prefix .. 'cooling:' .. token)
end

-- peek: what a token has used today, its licences, slots, waiters and cooling.
-- Used is -1 if the days in s do not cover now.
function quota.peek(prefix, token, s, now)
  local d, _, midnight = day_of(s, now)
  local cool = redis.call('HMGET', prefix .. 'cooling:' .. token, 'until', 'why', 'probe')
  if not (cool[1] and tonumber(cool[1]) > now) then cool = { '0', '', '0' } end
  return {
    d and int(used(prefix, token, name_of(s, d))) or '-1',
    int(quota.licenses(prefix, token, s)),
    redis.call('ZCOUNT', prefix .. 'slots:' .. token, '(' .. int(now), '+inf'),
    redis.call('ZCARD', prefix .. 'waiters:' .. token),
    cool[1], cool[2] or '', cool[3] or '0',
    int(now), int(d and midnight + s.guard or now + 1000),
  }
end
