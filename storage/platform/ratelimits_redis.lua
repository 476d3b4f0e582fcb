-- GCRA in one step, by the server's own clock. KEYS[1]: the budget. ARGV: unit (T) and tolerance (tau) in
-- microseconds, cost in units. Returns {allowed, remaining, retry_us, reset_us}. Keeps one integer, the TAT, which
-- expires when the budget is whole again. Integers stay below 2^53, where Lua's doubles are exact.
local unit, tolerance, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local start = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local after = start + cost * unit
local earliest = after - tolerance - unit
if now < earliest then
  local room = tolerance + unit - (start - now)
  return {0, math.max(math.floor(room / unit), 0), earliest - now, start - now}
end
redis.call('SET', KEYS[1], string.format('%d', after), 'PX', math.ceil((after - now) / 1000) + 1)
return {1, math.floor((now - earliest) / unit), 0, after - now}
