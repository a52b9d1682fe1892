-- Replace an entity's envelope if nobody else has since.
-- KEYS  1 entity
-- ARGV  1 the four version bytes that were read ('' for none)  2 new envelope  3 ttl in ms
-- Returns 1, or 0 when the version is another one
if redis.call('GETRANGE', KEYS[1], 0, 3) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
