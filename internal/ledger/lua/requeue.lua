-- Makes a chain that was dispatched and has not begun ready again, for a worker that stops. Atomic.
-- KEYS[1] prefix of the bucket
-- ARGV[1] chain  [2] dispatch number
-- Reply: {now ms, 1 if it is ready again, else 0}
local now = quota.now()
outcome_first()
local c = load_chain(ARGV[1])
if not c or c[C.state] ~= STATE.dispatched or c[C.number] ~= ARGV[2] then return { int(now), 0 } end
set_ready(c, now, true)
return { int(now), 1 }
