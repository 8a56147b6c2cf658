-- Cancels the calls of a chain, a slice at a time, the head last; a call that runs is left
-- to end. If the chain was woken for a slot, the next one that waits becomes ready.
-- Each slice is atomic.
-- KEYS[1] prefix of the bucket
-- ARGV[1] chain  [2] only if the head is of this server, '' any  [3] 1: only if it is held
-- ARGV[4] only if the head is of this batch, '' any  [5..18] quota's settings
-- Reply: {now ms, calls cancelled, 1 if more is left, 1 if a chain is ready}
local now = quota.now()
outcome_first()
local c = load_chain(ARGV[1])
-- ended returns the reply of a slice that ended the chain.
local function ended(done)
  local other = pass_on(c, tonumber(ARGV[5]), now)
  if not (other and other.id) then return { int(now), done, 0, 0 } end
  set_ready(other, now, true)
  return { int(now), done, 0, 1 }
end
if c and c[C.head] == '' then
  if not advance(c, now) then return ended(0) end
  if c[C.head] == '' then return { int(now), 0, 1 } end
end
if not c or (ARGV[3] == '1' and c[C.state] ~= STATE.held) then return { int(now), 0, 0 } end
local batch, key = split(c[C.head])
local head = read(batch, c.token .. key)
if (ARGV[2] ~= '' and head[R.server] ~= ARGV[2]) or (ARGV[4] ~= '' and batch ~= ARGV[4]) then return { int(now), 0, 0 } end
local done, gone = 0, {}
for _ = 1, SLICE do
  local ref = redis.call('LPOP', P .. 'queue:' .. c.id)
  if not ref then break end
  local of, k, t = split(ref)
  local rec = read(of, c.token .. k)
  if stands(rec, t) then
    end_call(of, c.token .. k, rec, 'c', now)
    gone[of] = (gone[of] or 0) + 1
    done = done + 1
  end
end
taken(c, gone, now)
if redis.call('EXISTS', P .. 'queue:' .. c.id) == 1 then return { int(now), done, 1 } end
if c[C.state] == STATE.running then return { int(now), done, 0 } end
if c[C.state] == STATE.held then unhold(c, batch, now) end
end_call(batch, c.token .. key, head, 'c', now)
tally(batch, now, COUNT.cancelled, 1)
unlist(c)
redis.call('DEL', c.key)
return ended(done + 1)
