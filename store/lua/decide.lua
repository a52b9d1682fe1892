-- Record the decision on a unit, once, together with its alert.
-- KEYS  1 idempotency key (hash)  2 journal  3 its counter  4 alerts  5 their counter
-- ARGV  1 answer  2 decision fact  3 id of the writing process  4 alert ('' for none)  5 alert fact
-- Returns {1} to the winner, {0, answer} to the others, {-1} when the key is unknown
if redis.call('EXISTS', KEYS[1]) == 0 then
  return { -1 }
end
local answer = redis.call('HGET', KEYS[1], 'a')
if answer then
  return { 0, answer }
end
local function journal(fact)
  redis.call('XADD', KEYS[2], string.format('%.0f-0', redis.call('INCR', KEYS[3])), 'f', fact, 's', ARGV[3])
end
redis.call('HSET', KEYS[1], 'a', ARGV[1])
journal(ARGV[2])
if ARGV[4] ~= '' then
  journal(ARGV[5])
  redis.call('XADD', KEYS[4], string.format('%.0f-0', redis.call('INCR', KEYS[5])), 'a', ARGV[4])
end
return { 1 }
