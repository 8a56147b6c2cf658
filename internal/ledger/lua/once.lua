-- The end of the script of a person's decision. The script's own file is the function decision,
-- before this. If its reply is lost and the Redis client sends it again, it answers as it did at
-- first and does nothing: it would not find a second time what it did. Atomic.
-- KEYS[3] where the answer is kept for a minute; its name is new for each execution
-- Reply: that of decision
local told = redis.call('GET', KEYS[3])
if told then return cjson.decode(told) end
local answer = decision()
redis.call('SET', KEYS[3], cjson.encode(answer), 'PX', 60000)
return answer
