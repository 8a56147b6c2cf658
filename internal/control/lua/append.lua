-- Writes an entry down, and drops the oldest above the capacity. Atomic. Works if Redis
-- is full: a write that needs no memory comes first.
-- KEYS[1] the stream
-- ARGV[1] capacity, in entries; ARGV[2...] fields and values of the entry
-- Reply: the entry's id, which begins with its time in ms by the clock of Redis
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[1])
return redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
