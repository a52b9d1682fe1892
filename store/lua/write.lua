-- Append facts and change documents in one step, or nothing where a document is not what it is expected to be.
-- KEYS  1 journal  2 its counter  3... the documents hash of each change
-- ARGV  1 id of the writing process  2 number of facts  then the facts, then for each change: field, '+' or '-', value, what is expected: '+' with the
--       value, '-' for none, '' for whatever there is
-- Answers the number of the change whose document is another one, or 0.
local count = tonumber(ARGV[2])
local function placeOf(i)
  return 3 + count + (i - 3) * 5
end
for i = 3, #KEYS do
  local at = placeOf(i)
  local expected = ARGV[at + 3]
  if expected ~= '' then
    local now = redis.call('HGET', KEYS[i], ARGV[at])
    if (expected == '-' and now) or (expected == '+' and now ~= ARGV[at + 4]) then
      return i - 2
    end
  end
end
for i = 1, count do
  redis.call('XADD', KEYS[1], string.format('%.0f-0', redis.call('INCR', KEYS[2])), 'f', ARGV[2 + i], 's', ARGV[1])
end
for i = 3, #KEYS do
  local at = placeOf(i)
  if ARGV[at + 1] == '+' then
    redis.call('HSET', KEYS[i], ARGV[at], ARGV[at + 2])
  else
    redis.call('HDEL', KEYS[i], ARGV[at])
  end
end
return 0
