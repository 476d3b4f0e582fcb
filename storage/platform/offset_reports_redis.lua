-- How far clients have got in a channel, by the server's own clock. KEYS: `info` (hash: client -> what is told of it),
-- `offset` (sorted set: client by the offset it reported), `until` (sorted set: client by the millisecond it is
-- forgotten). ARGV[1]: what to do; `report` client info offset lifetime_ms · `leave` client · `behind` top limit [offset
-- client]: those behind `top` by offset and client, after the given one. What is over its time leaves first, at most a
-- thousand at a time; an answer has `limit` clients at most.
local info, offset, deadline = KEYS[1], KEYS[2], KEYS[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function remove(client)
  redis.call('HDEL', info, client)
  redis.call('ZREM', offset, client)
  redis.call('ZREM', deadline, client)
end

-- How many come before what follows this offset and client, whether or not the client is still there.
local function place_after(score, client)
  local now_at = redis.call('ZSCORE', offset, client)
  if now_at and tonumber(now_at) == tonumber(score) then
    return redis.call('ZRANK', offset, client) + 1
  end
  redis.call('ZADD', offset, score, client)
  local place = redis.call('ZRANK', offset, client)
  if now_at then
    redis.call('ZADD', offset, now_at, client)
  else
    redis.call('ZREM', offset, client)
  end
  return place
end

for _, client in ipairs(redis.call('ZRANGEBYSCORE', deadline, '-inf', now, 'LIMIT', 0, 1000)) do
  remove(client)
end
if ARGV[1] == 'report' then
  local client, lifetime = ARGV[2], tonumber(ARGV[5])
  redis.call('HSET', info, client, ARGV[3])
  redis.call('ZADD', offset, ARGV[4], client)
  redis.call('ZADD', deadline, now + lifetime, client)
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, lifetime)
  end
elseif ARGV[1] == 'leave' then
  remove(ARGV[2])
elseif ARGV[1] == 'behind' then
  local behind = redis.call('ZCOUNT', offset, '-inf', '(' .. ARGV[2])
  local answer = {redis.call('ZCARD', offset), behind}
  local first = ARGV[4] and place_after(ARGV[4], ARGV[5]) or 0
  local last = math.min(first + ARGV[3], behind) - 1
  local found = last >= first and redis.call('ZRANGE', offset, first, last, 'WITHSCORES') or {}
  for index = 1, #found, 2 do
    table.insert(answer, found[index])
    table.insert(answer, tonumber(found[index + 1]))
    table.insert(answer, redis.call('HGET', info, found[index]))
  end
  return answer
end
return {}
