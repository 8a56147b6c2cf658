-- Notes ids of calls of one batch in the index. Atomic. New work: Redis refuses it when full.
-- KEYS[1] hash of the index for short lists  KEYS[2] the one for what has no room there
-- ARGV[1] the batch  [2..] entries of 5 bytes each
-- A field has entries of its batch, one after the other: "<batch>", then "<batch>.1", "<batch>.2" and
-- so on. The first SHORTS of them stand in KEYS[1]. They are so short that Redis keeps it as a list,
-- which takes less memory than a table. Others are long, and stand in KEYS[2]. The script removes
-- what tidy_ids wrote behind the entries (13 digits).
-- Reply: how many were not there
local SIZE, SHORT, SHORTS, LONG = 5, 60, 4, 1000
local function has(text, entry)
  local at = 0
  repeat at = string.find(text, entry, at + 1, true) until not at or at % SIZE == 1
  return at
end

local key, field, room, n, new = KEYS[1], ARGV[1], SHORT, 0, 0
local left = { unpack(ARGV, 2) }
while left[1] do
  local value, rest = redis.call('HGET', key, field) or '', {}
  local text = string.sub(value, 1, #value - (#value % SIZE == 0 and 0 or 13))
  for _, entry in ipairs(left) do
    if not has(text, entry) then
      if #text < room then
        text, new = text .. entry, new + 1
      else
        rest[#rest + 1] = entry
      end
    end
  end
  if text ~= value then redis.call('HSET', key, field, text) end
  n, left = n + 1, rest
  field = ARGV[1] .. '.' .. n
  if n == SHORTS then key, room = KEYS[2], LONG end
end
return new
