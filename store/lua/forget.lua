-- Empty the answers of units, which go on saying that they were counted.
-- KEYS  idempotency keys (hashes)
for i = 1, #KEYS do
  if redis.call('HEXISTS', KEYS[i], 'a') == 1 then
    redis.call('HSET', KEYS[i], 'a', '')
  end
end
return 1
