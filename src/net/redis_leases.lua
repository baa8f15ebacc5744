-- Settles and leases for keys of one fleet limit, in one partition, by this server's clock.
-- redis_format.md has the layout.
--
-- ARGV  the operation's name, and what it takes; times are in microseconds
local hour = 3600 * 1000000

local function text(number) return string.format('%.0f', number) end

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local operations = {}

-- KEYS  an arrival time for each key
-- ARGV  period, and of each key: requests, ahead, settled, wanted
-- Of each: {tokens, microseconds until there may be more}
function operations.rate()
  local at, period = now(), tonumber(ARGV[2])
  local replies = {}
  for i, key in ipairs(KEYS) do
    local requests, ahead = tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i])
    local settled, wanted = tonumber(ARGV[4 * i + 1]), tonumber(ARGV[4 * i + 2])
    local function cost(n) return math.ceil(n * period / requests) end
    local arrival = tonumber(redis.call('GET', key) or 0)
    if arrival > at + 2 * ahead + hour then arrival = at + ahead end -- the clock has been corrected
    arrival = math.max(arrival, at)
    if settled > 0 then
      arrival = math.min(arrival + cost(settled), at + 2 * ahead) -- at most a burst too much
    else
      arrival = math.max(arrival - math.floor(-settled * period / requests), at)
    end
    local free = math.max(at + ahead - arrival, 0)
    local tokens = math.min(wanted, math.floor(free * requests / period))
    if tokens > 0 and cost(tokens) > free then tokens = tokens - 1 end
    arrival = arrival + cost(tokens)
    if arrival > at then
      redis.call('SET', key, text(arrival), 'PX', text(math.ceil((arrival - at) / 1000)))
    else
      redis.call('DEL', key)
    end
    replies[i] = {tokens, math.max(arrival + cost(1) - at - ahead, 0)}
  end
  return replies
end

-- KEYS  usage and users of the month before the caller's, of it, and of the next
-- ARGV  when the first of the three begins, when each ends; how long counters are kept behind it; and of
--       each key: key, requests, settled, of which of the three, wanted
-- {which of the three it is here, microseconds left of it, tokens of each}, or {0}: none of them
function operations.month()
  local at, month = now(), 0
  for i = 1, 3 do
    if at >= tonumber(ARGV[i + 1]) and at < tonumber(ARGV[i + 2]) then month = i end
  end
  if month == 0 then return {0} end
  local function add(which, key, tokens)
    local usage, users = KEYS[2 * which - 1], KEYS[2 * which]
    redis.call('HINCRBY', usage, key, text(tokens))
    if redis.call('ZADD', users, 0, key) == 1 then
      local ends = text((tonumber(ARGV[which + 2]) + tonumber(ARGV[6])) / 1000)
      redis.call('PEXPIREAT', usage, ends)
      redis.call('PEXPIREAT', users, ends)
    end
  end
  local function used(which, key) return tonumber(redis.call('HGET', KEYS[2 * which - 1], key) or 0) end
  local replies = {month, tonumber(ARGV[month + 2]) - at}
  for i = 7, #ARGV, 5 do
    local key, requests, wanted = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 4])
    local settled, which = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
    if settled < 0 then settled = math.max(settled, -used(which, key)) end
    if settled ~= 0 then add(which, key, settled) end
    local tokens = math.max(math.min(wanted, requests - used(month, key)), 0)
    if tokens > 0 then add(month, key, tokens) end
    replies[#replies + 1] = tokens
  end
  return replies
end

-- KEYS  usage and users of a month
-- ARGV  after, count
-- {keys, used}
function operations.usages()
  local first = ARGV[2] == '' and '-' or '(' .. ARGV[2]
  local keys = redis.call('ZRANGEBYLEX', KEYS[2], first, '+', 'LIMIT', 0, ARGV[3])
  if #keys == 0 then return {keys, {}} end
  return {keys, redis.call('HMGET', KEYS[1], unpack(keys))}
end

local operation = operations[ARGV[1]]
if not operation then return redis.error_reply('ERR no operation of cellroute') end
return operation()
