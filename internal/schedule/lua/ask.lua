-- Asks for a run now. Atomic. If one was asked for and has not begun, that one stands for both.
-- KEYS[1] prefix of the schedule
-- ARGV[1] now, ms  [2] batch  [3] '1': even if the last run has not settled
-- Reply: the batch of the run, '' if there is no schedule
if not get('version') then return '' end
if redis.call('HSETNX', S, 'ask_at', ARGV[1]) == 1 then redis.call('HSET', S, 'ask_batch', ARGV[2], 'ask_overlap', '0') end
if ARGV[3] == '1' then redis.call('HSET', S, 'ask_overlap', '1') end
change()
return get('ask_batch')
