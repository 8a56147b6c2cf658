-- What joint scripts use. A joint script does its work for several chains or buckets in one execution. This file stands
-- behind library.lua.

-- SEP, a control character that no name may have, stands between the fields of a reply that is one text, which costs
-- less than a list. Only the last field may have it too: a sealed token has any byte in it.
local SEP = string.char(31)

-- reply_of returns the reply of begin and finish (see finish.lua). It dispatches the chain that got a slot offer.
local function reply_of(now, woken, due, t)
  local head = int(now) .. SEP
  if woken and woken.id then
    head = head .. woken.id .. SEP .. dispatch(woken, now)
  else
    head = head .. SEP .. '0'
  end
  return head .. SEP .. (due or '0') .. SEP .. table.concat(t, SEP)
end

-- jointly runs each once for every two of KEYS: the prefix of a bucket, and a name that is no key. All of it is one
-- atomic step. ARGV[1] says how many arguments follow that are the same every time. Then come the arguments of each
-- time, always the same number, with which each is called. each returns its reply as one text. If it fails for one of
-- several, the others are still done: the reply of that one is nil, and its sender runs it alone to get the error.
local function jointly(each)
  local same, times = tonumber(ARGV[1]), #KEYS / 2
  local own = (#ARGV - 1 - same) / times
  local replies = {}
  for i = 1, times do
    P = KEYS[2 * i - 1]
    READY = P .. 'ready'
    DUE = P .. 'due'
    local last = 1 + same + i * own
    if times == 1 then return { each(unpack(ARGV, last - own + 1, last)) } end
    local done, reply = pcall(each, unpack(ARGV, last - own + 1, last))
    replies[i] = done and reply
  end
  return replies
end
