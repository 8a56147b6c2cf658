-- The end of the script of a person's decision, and of every script of a schedule (ledger.Once). The script's own file
-- is the function step, before this. If its reply is lost and the Redis client sends it again, it answers as it did at
-- first and does nothing: it would not find a second time what it did. Atomic.
-- The last of KEYS: where the answer is kept for a minute; its name is new for each execution
-- Reply: that of step
local told = redis.call('GET', KEYS[#KEYS])
if told then return cjson.decode(told)[1] end
local answer = step()
-- Redis refuses this if it is full and step wrote nothing: then there is nothing to keep.
redis.pcall('SET', KEYS[#KEYS], cjson.encode({ answer }), 'PX', 60000)
return answer
