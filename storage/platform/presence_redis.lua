-- Who is in a channel, by the server's own clock. KEYS: `info` (hash: client -> "n:" user of n bytes, info), `until`
-- (sorted set: client by the millisecond it is forgotten), `users` (hash: user -> clients). ARGV[1]: what to do;
-- `enter` client user info lifetime_ms · `leave` client · `members` limit · `count`. What is over its time leaves first,
-- at most a thousand at a time; nothing reads a whole key but `members`, which is bounded.
local info, deadline, users = KEYS[1], KEYS[2], KEYS[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function user_of(entry)
  local length, rest = string.match(entry, '^(%d+):(.*)$')
  return string.sub(rest, 1, tonumber(length)), string.sub(rest, tonumber(length) + 1)
end

local function remove(client)
  local entry = redis.call('HGET', info, client)
  redis.call('ZREM', deadline, client)
  if entry then
    local user = user_of(entry)
    redis.call('HDEL', info, client)
    if redis.call('HINCRBY', users, user, -1) <= 0 then
      redis.call('HDEL', users, user)
    end
  end
end

for _, client in ipairs(redis.call('ZRANGEBYSCORE', deadline, '-inf', now, 'LIMIT', 0, 1000)) do
  remove(client)
end
if ARGV[1] == 'enter' then
  local client, user, lifetime = ARGV[2], ARGV[3], tonumber(ARGV[5])
  remove(client)
  redis.call('HSET', info, client, #user .. ':' .. user .. ARGV[4])
  redis.call('ZADD', deadline, now + lifetime, client)
  redis.call('HINCRBY', users, user, 1)
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, lifetime)
  end
elseif ARGV[1] == 'leave' then
  remove(ARGV[2])
elseif ARGV[1] == 'members' then
  if redis.call('HLEN', info) > tonumber(ARGV[2]) then
    return false
  end
  local found = redis.call('HGETALL', info)
  for index = 2, #found, 2 do
    local _, text = user_of(found[index])
    found[index] = text
  end
  return found
elseif ARGV[1] == 'count' then
  return {redis.call('HLEN', info), redis.call('HLEN', users)}
end
return {}
