-- Journal one unit, once.
-- KEYS  1 idempotency key (hash)  2 journal (stream)  3 its counter  4 pending units (zset)
-- ARGV  1 digest  2 fact  3 ttl of the key in ms  4 id of the writing process  5 '1' when entities must be brought forward
-- Returns {offset, 0 new | 1 duplicate | 2 conflict, answer or false, pending member or '', oldest pending offset}
-- Every unit below the returned offset is finished.
local function oldest()
  local first = redis.call('ZRANGE', KEYS[4], 0, 0)[1]
  if first then
    return string.match(first, '^%d+')
  end
  return string.format('%.0f', tonumber(redis.call('GET', KEYS[3]) or '0') + 1)
end

local known = redis.call('HMGET', KEYS[1], 'o', 'd', 'a', 'p')
if known[1] then
  local status = known[2] == ARGV[1] and 1 or 2
  local member = known[4] and redis.call('ZSCORE', KEYS[4], known[4]) and known[4] or ''
  return { known[1], status, known[3], member, oldest() }
end

local offset = redis.call('INCR', KEYS[3])
local time = redis.call('TIME')
local member = ''
redis.call('XADD', KEYS[2], string.format('%.0f-0', offset), 'f', ARGV[2], 's', ARGV[4])
if ARGV[5] == '1' then
  -- The time of the server, so that sweepers on other machines agree on what is old.
  member = string.format('%.0f:%.0f', offset, time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('ZADD', KEYS[4], offset, member)
end
redis.call('HSET', KEYS[1], 'o', string.format('%.0f', offset), 'd', ARGV[1], 'p', member)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { string.format('%.0f', offset), 0, false, member, oldest() }
