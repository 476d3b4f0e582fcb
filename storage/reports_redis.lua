-- How far clients have got in a channel, by the server's own clock. KEYS: `info` (hash: client -> what is told of it),
-- `offset` (sorted set: client by the offset it reported), `until` (sorted set: client by the millisecond it is
-- forgotten). ARGV[1]: what to do; `report` client info offset lifetime_ms · `leave` client · `behind` top limit. What is
-- over its time leaves first, at most a thousand at a time; an answer has `limit` clients at most.
local info, offset, deadline = KEYS[1], KEYS[2], KEYS[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function remove(client)
  redis.call('HDEL', info, client)
  redis.call('ZREM', offset, client)
  redis.call('ZREM', deadline, client)
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
  local found = redis.call('ZRANGEBYSCORE', offset, '-inf', '(' .. ARGV[2], 'WITHSCORES', 'LIMIT', 0, ARGV[3])
  local answer = {redis.call('ZCARD', offset), redis.call('ZCOUNT', offset, '-inf', '(' .. ARGV[2])}
  for index = 1, #found, 2 do
    table.insert(answer, found[index])
    table.insert(answer, tonumber(found[index + 1]))
    table.insert(answer, redis.call('HGET', info, found[index]))
  end
  return answer
end
return {}
