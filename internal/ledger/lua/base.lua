-- The functions of all of the ledger's scripts. A script is its own file, and before it what that uses of this file, of
-- library.lua, of joint.lua and of quota's library (package lualink). KEYS[2] is a name that is no key
-- (redisconn.BucketKeys says what for). All keys of a script live under KEYS[1], the prefix of one bucket with its hash
-- tag ("habilita:{k7}:"), so a script touches one Redis Cluster slot and is atomic. Times are ms by the clock of Redis.
--
--   tokens          hash   token -> "<call records>:<sealed token>"; a token that is not here has no records: append relies on it
--   calls:<batch>   hash   <token><key> -> record, a JSON array (see R)
--   counts:<batch>  hash   see COUNT
--   dropped:<batch> set    chains whose later calls of the batch are cancelled (policy cancel)
--   chain:<id>      hash   see C; absent if a chain has nothing to do
--   queue:<id>      list   references behind the head, "<batch> <key>" or, of a call that was
--                          new again, "<batch> <key> <times>": one with other times is void
--   ready           zset   chain -> since when, to be dispatched
--   due             zset   chain -> when it needs somebody: the deferral, back-off,
--                          dispatch or lease of its call has ended by then, or the grace
--                          that follows a lease; and "!<since ms> <reason> <token>", a
--                          recall (see recall)
--   asleep:<reason>:<token> zset chains that wait for the token's quota or cooling -> since
--   held            zset   chain -> since when it waits for a person
--   delays          hash   n: scheduled calls of the bucket so far
--   delayed         zset   "<token> <batch> <key>" -> when a scheduled call is due, and microseconds
--                          that keep the order of calls that are due at the same time (the
--                          name of its chain, which may have spaces, is in its record)
--   old             zset   field of a finished call of no batch -> when
--   finished        list   "<batch> <field>" of calls that ended and whose end is to be told
--   feed            string the last dispatch number of the bucket
--   lent            set    tokens whose licences came with calls, and go with the last one
--   told:<name>     string what a decision answered (once), for a minute
--   quiet:<chain>   string a request of the chain may still be at the vendor until
--                          then (an unknown outcome): no grant; it outlives the chain
local P = KEYS[1]
local READY = P .. 'ready'
local DUE = P .. 'due'
local SOLO = 'solo'       -- the batch of calls of no batch
local DISPATCH_GRACE = 10000  -- a chain that was dispatched and did not begin is dispatched again after this; doubled each time
local FRESH = 5000        -- head start of a chain that had nothing to do, so that a short one is not behind long ones
local BUSY = 'server busy' -- why a chain waits whose worker has no place left at the chain's server
local FINISHED = 1000     -- ends that wait to be told, at most: nobody takes them where workers tell nobody
local SLICE = 500         -- references or records that one script works on, to stay below 5 ms

-- Places in a call's record.
local R = { state = 1, server = 2, enqueued = 3, ref = 4, chain = 5, attempts = 6,
  started = 7, finished = 8, code = 9, msg = 10, err = 11, reason = 12 }
-- reason is the code of what went wrong at the last attempt; absent if nothing did.
-- ref is the text, or the line of the file that first brought the call (which then has no
-- text), or an array of that line (0: none), the text, how often the call was new again (0: never), and 1
-- if its end is to be told.
-- States of a call: q queued, d delayed (scheduled, not yet in its chain), w waiting,
-- r running, s succeeded, f failed, k skipped, c cancelled, p cancelled in a way that makes
-- it new if its row comes again (counted as c).

-- C has the fields of a chain's hash (C.state), STATE the states of a chain (STATE.ready) and COUNT the fields of a batch's
-- counts (COUNT.total). They are defined in fields.go, for Go too. A chain's table has the same fields: c[C.state].

local function token_of(chain)
  if #chain == 24 then return chain end -- most have no name of their own
  return string.sub(chain, 1, 24)
end

-- load_chain is the only way to a chain that is there, and new_chain to one that is not: so
-- a chain's table always has all of its fields, and none is left over for the next head.
local function load_chain(id)
  local key = P .. 'chain:' .. id
  local v = redis.call('HMGET', key, C.state, C.head, C.number, C.nonce, C.lease_ends, C.spent, C.first_push_back,
    C.failures, C.reason, C.waits_until, C.waiter_since, C.missed, C.days)
  if not v[1] then return nil end
  -- Made at its full size: a table that grows is moved several times.
  return { id = id, key = key, token = token_of(id), [C.state] = v[1], [C.head] = v[2], [C.number] = v[3] or nil,
    [C.nonce] = v[4] or nil, [C.lease_ends] = v[5] or nil, [C.spent] = v[6] or nil, [C.first_push_back] = v[7] or nil,
    [C.failures] = v[8] or nil, [C.reason] = v[9] or nil, [C.waits_until] = v[10] or nil, [C.waiter_since] = v[11] or nil,
    [C.missed] = v[12] or nil, [C.days] = v[13] or nil }
end

-- new_chain makes a chain that had nothing to do, with its head and the number of open calls of
-- the head's batch. The caller puts it on a list. (append writes most of its chains itself.)
local function new_chain(id, ref, batch, open)
  local key = P .. 'chain:' .. id
  redis.call('HSET', key, C.state, STATE.ready, C.head, ref, C.open_of .. batch, open)
  return { id = id, key = key, token = token_of(id), [C.state] = STATE.ready, [C.head] = ref }
end

local function encode(rec)
  if not (rec[R.chain] and rec[R.finished] and rec[R.err]) then -- appended, and not written since
    local blank = { '', '', 0, '', '', 0, 0, 0, '', '', '' }
    for i = 1, #blank do if rec[i] == nil then rec[i] = blank[i] end end
  end
  return cjson.encode(rec)
end

local function write(batch, field, rec) redis.call('HSET', P .. 'calls:' .. batch, field, encode(rec)) end

local function is_open(state) return state == 'q' or state == 'w' or state == 'r' or state == 'd' end -- rare

-- times returns how often a call was new again, as its references have it; nil: never.
local function times(rec)
  local ref = rec[R.ref]
  return type(ref) == 'table' and ref[3] and ref[3] > 0 and int(ref[3]) or nil
end

-- ref_of returns a call's reference in its chain.
local function ref_of(batch, key, rec) -- rare
  local t = times(rec)
  return t and batch .. ' ' .. key .. ' ' .. t or batch .. ' ' .. key
end

-- split cuts a reference into its two or three parts.
local function split(ref)
  local at = string.find(ref, ' ', 1, true)
  local second = string.find(ref, ' ', at + 1, true)
  if not second then return string.sub(ref, 1, at - 1), string.sub(ref, at + 1) end
  return string.sub(ref, 1, at - 1), string.sub(ref, at + 1, second - 1), string.sub(ref, second + 1)
end

-- stands tells whether a reference names a call that waits in its chain; t is the reference's third part.
local function stands(rec, t) return rec and (rec[R.state] == 'q' or rec[R.state] == 'w') and times(rec) == t end

-- read returns a call's record, and its text.
local function read(batch, field)
  local raw = redis.call('HGET', P .. 'calls:' .. batch, field)
  if not raw then return nil end
  return cjson.decode(raw), raw
end

-- revive makes the record of a call that is new again, from the older record and the new one.
local function revive(before, rec) -- rare
  local ref = rec[R.ref]
  if type(ref) == 'number' then ref = { ref, '' } elseif type(ref) ~= 'table' then ref = { 0, ref or '' } end
  ref[3] = (times(before) or 0) + 1
  rec[R.ref], rec[R.chain] = ref, rec[R.chain] or ''
  rec[R.attempts], rec[R.started] = before[R.attempts] or 0, before[R.started] or 0
  return rec
end

local function tally(batch, now, ...)
  local key, change = P .. 'counts:' .. batch, { ... }
  for i = 1, #change, 2 do redis.call('HINCRBY', key, change[i], change[i + 1]) end
  redis.call('HSET', key, COUNT.changed, int(now))
end

-- note_end lists a call whose end is to be told.
local function note_end(batch, field, rec)
  local ref = rec[R.ref]
  if type(ref) == 'table' and ref[4] == 1 and redis.call('LLEN', P .. 'finished') < FINISHED then
    redis.call('RPUSH', P .. 'finished', batch .. ' ' .. field)
  end
end

-- end_call writes a call's last state; the caller has taken it out of its chain.
local function end_call(batch, field, rec, state, now)
  rec[R.state], rec[R.finished] = state, now
  write(batch, field, rec)
  if batch == SOLO then redis.call('ZADD', P .. 'old', int(now), field) end
  note_end(batch, field, rec)
end

local function is_dropped(batch, id) return redis.call('SISMEMBER', P .. 'dropped:' .. batch, id) == 1 end -- rare

-- save_head writes down a head that is not written yet (new_head), and forgets the fields that
-- belonged to the last head alone. A new head has none of them, and has spent nothing.
local function save_head(c) -- rare
  if not c.unsaved then return end
  local of_head = { C.nonce, C.lease_ends, C.days, C.first_push_back, C.failures, C.reason, C.waits_until, C.missed }
  redis.call('HDEL', c.key, unpack(of_head))
  redis.call('HSET', c.key, C.head, c[C.head], C.spent, 0)
  for _, name in ipairs(of_head) do c[name] = nil end
  c.unsaved, c.was = nil, nil
end

-- asleep returns the list of the token's chains that wait for the same reason as this chain, if
-- that reason can go before its time; else nil.
local function asleep(c) -- rare
  local reason = c[C.state] == STATE.waiting and c[C.reason] and string.match(c[C.reason], '^[^:]*')
  if reason == 'quota' or reason == 'cooling' then return P .. 'asleep:' .. reason .. ':' .. c.token end
  return nil
end

local function awake(c) -- rare
  local list = asleep(c)
  if list then redis.call('ZREM', list, c.id) end
end

local function set_ready(c, now, fresh) -- rare
  awake(c)
  save_head(c)
  redis.call('HSET', c.key, C.state, STATE.ready)
  redis.call('ZREM', DUE, c.id)
  redis.call('ZADD', READY, int(fresh and now - FRESH or now), c.id)
  c[C.state] = STATE.ready
end

-- dispatch gives the chain its next dispatch number: older tasks of it do nothing from here on.
local function dispatch(c, now)
  local n = redis.call('INCR', P .. 'feed')
  local missed = tonumber(c[C.missed] or '0')
  if c[C.reason] == BUSY then
    redis.call('HDEL', c.key, C.reason, C.waits_until)
    c[C.reason], c[C.waits_until] = nil, nil
  end
  redis.call('HSET', c.key, C.state, STATE.dispatched, C.number, n)
  redis.call('ZREM', READY, c.id)
  redis.call('ZADD', DUE, now + DISPATCH_GRACE * 2 ^ math.min(missed, 5), c.id)
  c[C.state], c[C.number] = STATE.dispatched, n
  return n
end

-- recall makes the chains of a token that wait for this reason look again, since it may have
-- gone. It sets a timer that dispatch works off a slice at a time, so that any number may wait.
-- Returns whether it did. (quota.recall is the same.)
local function recall(token, reason, now) -- rare
  if redis.call('EXISTS', DUE) == 0 then return false end
  redis.call('ZADD', DUE, now, '!' .. int(now) .. ' ' .. reason .. ' ' .. token)
  return true
end
