-- The end of every script, whose own file is the function step before it. If its reply is lost and
-- Redis' client sends it again, it answers as it did at first, and does nothing. Atomic.
-- KEYS[2] where the answer is kept for a minute; its name is new for each execution
-- Reply: that of step
local told = redis.call('GET', KEYS[2])
if told then return cjson.decode(told)[1] end
local answer = step()
-- Refused where Redis is full and step wrote nothing: then there is nothing to be kept.
redis.pcall('SET', KEYS[2], cjson.encode({ answer }), 'PX', 60000)
return answer
