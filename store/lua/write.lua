-- Append facts and change documents in one step.
-- KEYS  1 journal  2 its counter  3... the documents hash of each change
-- ARGV  1 id of the writing process  2 number of facts  then the facts, then for each change: field, '+' or '-', value
local count = tonumber(ARGV[2])
for i = 1, count do
  redis.call('XADD', KEYS[1], string.format('%.0f-0', redis.call('INCR', KEYS[2])), 'f', ARGV[2 + i], 's', ARGV[1])
end
for i = 3, #KEYS do
  local at = 3 + count + (i - 3) * 3
  if ARGV[at + 1] == '+' then
    redis.call('HSET', KEYS[i], ARGV[at], ARGV[at + 2])
  else
    redis.call('HDEL', KEYS[i], ARGV[at])
  end
end
return 1
