-- Put others in the places of a log's records, so that the bytes of the old ones leave the stream.
--
-- A stream cannot change an entry, and deleting one only marks it: its bytes stay in the node of entries that it was written to until none of them is left. So a record goes
-- together with all that may share its node, and they stand beside the stream from then on, each with its offset as the score:
--
--   stream   1 2 3 4 [5 6 7 8] 9 10     erase 6       1 2 3 4 . . . . 9 10
--   moved                                             5 6' 7 8
--
-- KEYS  1 the stream  2 moved (zset)  3 pending units, of the journal alone
-- ARGV  1 field of a record's bytes  2 bytes and  3 entries that a node may hold, 0 for any number  then for each record: offset, what stands there from now on
-- Answers 1, or 0 when one of them is of a unit that is not finished: then nothing is done. What the log does not hold (any more) is passed over.
local field, nodeBytes, nodeEntries = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if nodeBytes == 0 then nodeBytes = math.huge end
if nodeEntries == 0 then nodeEntries = math.huge end
local PAGE = 16

if KEYS[3] then
  for i = 4, #ARGV, 2 do
    if redis.call('ZCOUNT', KEYS[3], ARGV[i], ARGV[i]) > 0 then
      return 0
    end
  end
end

local function idOf(offset)
  return string.format('%.0f-0', offset)
end

-- Entries that leave the stream, by offset: their bytes and the process that wrote them.
local taken = {}
local function take(entry)
  local offset = tonumber(string.match(entry[1], '^%d+'))
  local values = {}
  for i = 1, #entry[2], 2 do
    values[entry[2][i]] = entry[2][i + 1]
  end
  taken[offset] = { values[field], values.s or '' }
  return offset, #values[field]
end

-- All that may stand in one node with the record, before it or behind it: by their bytes, and by how many fit.
local function takeBeside(offset, command, step)
  local bytes = 0
  local at = offset + step
  local stop = nodeEntries == math.huge and (step < 0 and '-' or '+') or idOf(math.max(0, offset + step * (nodeEntries - 1)))
  while bytes < nodeBytes do
    local page = redis.call(command, KEYS[1], idOf(math.max(0, at)), stop, 'COUNT', PAGE)
    for _, entry in ipairs(page) do
      local found, size = take(entry)
      bytes = bytes + size
      at = found + step
      if bytes >= nodeBytes then return end
    end
    if #page < PAGE then return end
  end
end

local replaced = {}
for i = 4, #ARGV, 2 do
  local offset = tonumber(ARGV[i])
  local entry = redis.call('XRANGE', KEYS[1], idOf(offset), idOf(offset))[1]
  local beside = redis.call('ZRANGEBYSCORE', KEYS[2], ARGV[i], ARGV[i])[1]
  if entry then take(entry) end
  if entry or beside then
    replaced[offset] = ARGV[i + 1]
    -- What was moved as it was may have left bytes in a node; what was erased before left none.
    if entry or string.match(beside, '^%d+:m:') then
      takeBeside(offset, 'XREVRANGE', -1)
      takeBeside(offset, 'XRANGE', 1)
    end
  end
end

local function put(offset, kind, origin, bytes)
  redis.call('ZADD', KEYS[2], string.format('%.0f', offset), string.format('%.0f:%s:%s:', offset, kind, origin) .. bytes)
end
for offset, record in pairs(taken) do
  redis.call('XDEL', KEYS[1], idOf(offset))
  if not replaced[offset] then put(offset, 'm', record[2], record[1]) end
end
for offset, bytes in pairs(replaced) do
  redis.call('ZREMRANGEBYSCORE', KEYS[2], string.format('%.0f', offset), string.format('%.0f', offset))
  put(offset, 'e', taken[offset] and taken[offset][2] or '', bytes)
end
return 1
