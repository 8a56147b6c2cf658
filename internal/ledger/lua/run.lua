-- The leases of the runs that fill a batch. Atomic. The key goes with the last lease. If Redis is
-- full, no run begins, but those that live stay alive.
-- KEYS[1] leases of the batch's runs: hash, run -> end of its lease, ms; the field
--         'alone' names the run that may be the only one
-- ARGV[1] begin | renew | alone | end  [2] run  [3] lease, ms
-- Reply: {1 done or 0 refused, other runs that live}
--        begin is refused while another run is alone, alone while another run lives
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local op, run = ARGV[1], ARGV[2]
local others, last, alone = 0, 0, nil
local all = redis.call('HGETALL', KEYS[1])
local ends = {}
for i = 1, #all, 2 do
  if all[i] == 'alone' then alone = all[i + 1] else ends[all[i]] = tonumber(all[i + 1]) end
end
for who, at in pairs(ends) do
  if at <= now and who ~= run then
    redis.call('HDEL', KEYS[1], who)
  elseif who ~= run then
    others, last = others + 1, math.max(last, at)
  end
end
if alone and alone ~= run and (ends[alone] or 0) <= now then
  redis.call('HDEL', KEYS[1], 'alone')
  alone = nil
end
if op == 'begin' and alone and alone ~= run or op == 'alone' and others > 0 then return { 0, others } end
if op ~= 'begin' then redis.call('HDEL', KEYS[1], '') end -- a write that needs no memory comes first
if op == 'end' then
  redis.call('HDEL', KEYS[1], run)
  if alone == run then redis.call('HDEL', KEYS[1], 'alone') end
else
  last = math.max(last, now + tonumber(ARGV[3]))
  redis.call('HSET', KEYS[1], run, string.format('%.0f', now + tonumber(ARGV[3])))
  if op == 'alone' then redis.call('HSET', KEYS[1], 'alone', run) end
end
if last > 0 then redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last)) end
return { 1, others }
