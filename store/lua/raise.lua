-- Append an alert to its log and to the journal.
-- KEYS  1 journal  2 its counter  3 alerts  4 their counter
-- ARGV  1 alert  2 alert fact  3 id of the writing process
redis.call('XADD', KEYS[1], string.format('%.0f-0', redis.call('INCR', KEYS[2])), 'f', ARGV[2], 's', ARGV[3])
redis.call('XADD', KEYS[3], string.format('%.0f-0', redis.call('INCR', KEYS[4])), 'a', ARGV[1])
return 1
