-- What must happen at once in a partition of a mapping store in Redis. redis_format.md has the layout.
--
-- KEYS  head, records, order, cells, expiry, changes: one partition's, of one slot
-- ARGV  the operation's name, and what it takes; all numbers are decimal texts without leading zeros
--
-- Lua's numbers are doubles, so revisions, epochs and times stay texts here.
local head, records, order, cells, expiry, changes = unpack(KEYS)
local most_digits = 20

local function fields(value)
  return string.match(value, '^(%d+) (%d+) (%d+) (%d+) ([01]) (%S+) (%S*)\n')
end

local function below(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

local function by_expiry(expires, key)
  return string.rep('0', most_digits - #expires) .. expires .. key
end

local function remove_places(key, sequence, expires, deleted, cell, target)
  if deleted == '0' then redis.call('ZREM', cells, cell .. '\0' .. key, target .. '\0' .. key) end
  if expires ~= '0' then redis.call('ZREM', expiry, by_expiry(expires, key)) end
  redis.call('XDEL', changes, sequence .. '-0')
end

local function add_places(key, expires, deleted, cell, target)
  redis.call('ZADD', order, 0, key)
  if deleted == '0' then
    redis.call('ZADD', cells, 0, cell .. '\0' .. key)
    if target ~= '' then redis.call('ZADD', cells, 0, target .. '\0' .. key) end
  end
  if expires ~= '0' then redis.call('ZADD', expiry, 0, by_expiry(expires, key)) end
end

local operations = {}

local function put(store, claim, expected, revision, epoch, expires, deleted, cell, target, key, message)
  local owner = redis.call('HGET', head, 'store')
  if owner and owner ~= store then return {'another'} end
  if not owner and claim ~= '1' then return {'unclaimed'} end
  local value = redis.call('HGET', records, key)
  local old_revision, old_epoch, old_sequence, old_expires, old_deleted, old_cell, old_target = '0', '0', '', '', '0', ''
  if value then
    old_revision, old_epoch, old_sequence, old_expires, old_deleted, old_cell, old_target = fields(value)
    if not old_revision then return {'damaged'} end
  end
  local moves = value and (cell ~= old_cell or (old_deleted == '1' and deleted == '0'))
  if old_revision ~= expected or below(epoch, old_epoch) or (moves and epoch == old_epoch) then
    return {'stored', old_revision, old_epoch, old_deleted, old_cell}
  end
  if not owner then redis.call('HSET', head, 'store', store) end
  local sequence = string.format('%.0f', redis.call('HINCRBY', head, 'sequence', 1))
  -- First of all: a server that lost the head alone refuses the number, and the rest stays as it was.
  redis.call('XADD', changes, sequence .. '-0', 'key', key)
  if value then remove_places(key, old_sequence, old_expires, old_deleted, old_cell, old_target) end
  add_places(key, expires, deleted, cell, target)
  local line = table.concat({revision, epoch, sequence, expires, deleted, cell, target}, ' ')
  redis.call('HSET', records, key, line .. '\n' .. message)
  return {'put'}
end

-- store, claim, and of each record: expected, revision, epoch, expires, deleted, cell, target, key, message
-- Of each record in order: {'put'}, or {'another'}: the partition is of another store; {'unclaimed'}: of
-- none yet, and claim is not 1; {'damaged'}; or {'stored', revision, epoch, deleted, cell}: what does not
-- let the record follow
function operations.put(store, claim)
  local replies = {}
  for i = 4, #ARGV, 9 do replies[#replies + 1] = put(store, claim, unpack(ARGV, i, i + 8)) end
  return replies
end

local function with_values(keys)
  if #keys == 0 then return {keys, {}} end
  return {keys, redis.call('HMGET', records, unpack(keys))}
end

-- {keys, values} of the first `count` members of `index` from one bound to the other, without what
-- stands before the key in each.
local function page(index, prefix, after, last, count)
  local first = after == '' and '[' .. prefix or '(' .. prefix .. after
  local keys = redis.call('ZRANGEBYLEX', index, first, last, 'LIMIT', 0, count)
  for i, member in ipairs(keys) do keys[i] = string.sub(member, #prefix + 1) end
  return with_values(keys)
end

-- after, count
function operations.scan(after, count) return page(order, '', after, '+', count) end

-- cell, after, count
function operations.scan_cell(cell, after, count)
  return page(cells, cell .. '\0', after, '(' .. cell .. '\1', count)
end

-- after, count
-- {line, store, sequence, forgotten, sequences, keys, values}, all of one moment. `line` names the
-- server's history of writes: another after a failover or a restart, which may have lost some. The
-- next three are texts, empty where nothing was ever written.
function operations.changes(after, count)
  local entries = redis.call('XRANGE', changes, '(' .. after .. '-0', '+', 'COUNT', count)
  local sequences, keys = {}, {}
  for i, entry in ipairs(entries) do
    sequences[i] = string.match(entry[1], '^%d+')
    keys[i] = entry[2][2]
  end
  local state = redis.call('HMGET', head, 'store', 'sequence', 'forgotten')
  local found = with_values(keys)
  local line = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  return {line, state[1] or '', state[2] or '', state[3] or '', sequences, found[1], found[2]}
end

-- store, bound (20 digits), count: what expires before the bound is removed
-- How many were removed, or -1: the partition is of another store; -2: a record is damaged
function operations.purge(store, bound, count)
  local owner = redis.call('HGET', head, 'store')
  if not owner then return 0 end
  if owner ~= store then return -1 end
  local forgotten = redis.call('HGET', head, 'forgotten') or '0'
  local members = redis.call('ZRANGEBYLEX', expiry, '-', '(' .. bound, 'LIMIT', 0, count)
  for i, member in ipairs(members) do
    local key = string.sub(member, most_digits + 1)
    local value = redis.call('HGET', records, key)
    local _, _, sequence, expires, deleted, cell, target = fields(value or '')
    if not sequence then return -2 end
    if deleted == '1' and below(forgotten, sequence) then
      forgotten = sequence
      redis.call('HSET', head, 'forgotten', forgotten)
    end
    remove_places(key, sequence, expires, deleted, cell, target)
    redis.call('ZREM', order, key)
    redis.call('HDEL', records, key)
  end
  return #members
end

-- store: whose the partition is from now on, if anything was ever written there
function operations.renew(store)
  if redis.call('HEXISTS', head, 'store') == 1 then redis.call('HSET', head, 'store', store) end
  return 0
end

local operation = operations[ARGV[1]]
if not operation then return redis.error_reply('ERR no operation of cellroute') end
return operation(unpack(ARGV, 2))
