-- Sets how many viewers of one group a process has, and keeps the sum over all processes. KEYS: `sizes` (hash: process ->
-- its viewers), `until` (sorted set: process by the millisecond at which its count expires), `total` (the sum).
-- ARGV: process, its viewers now, lifetime_ms. Expired processes are removed first. Time is the server's own clock. The
-- work grows with the number of processes, not of viewers.
local sizes, deadline, total = KEYS[1], KEYS[2], KEYS[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function set(process, size)
  local before = tonumber(redis.call('HGET', sizes, process) or 0)
  if size > 0 then
    redis.call('HSET', sizes, process, size)
  else
    redis.call('HDEL', sizes, process)
    redis.call('ZREM', deadline, process)
  end
  if redis.call('INCRBY', total, size - before) <= 0 then
    redis.call('DEL', total)
  end
end

for _, process in ipairs(redis.call('ZRANGEBYSCORE', deadline, '-inf', now, 'LIMIT', 0, 100)) do
  set(process, 0)
end
local process, size, lifetime = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
set(process, size)
if size > 0 then
  redis.call('ZADD', deadline, now + lifetime, process)
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, lifetime)
  end
end
return 0
