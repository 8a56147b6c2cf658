-- The end of every script. The script's own file is the function step, before this. If its reply is
-- lost and the Redis client sends it again, it answers as it did at first and does nothing. Atomic.
-- KEYS[2] where the answer is kept for a minute; its name is new for each execution
-- Reply: that of step
local told = redis.call('GET', KEYS[2])
if told then return cjson.decode(told)[1] end
local answer = step()
-- Redis refuses this if it is full and step wrote nothing: then there is nothing to keep.
redis.pcall('SET', KEYS[2], cjson.encode({ answer }), 'PX', 60000)
return answer
