-- Count one attempt in every counter, or in none when one of them is full.
-- KEYS: the counters. ARGV: for each the most and the seconds of its window.
-- Returns the seconds to wait (0: it was counted), then the places of the counters that are full now.
local wait_s = 0
for place, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[2 * place - 1]) then
        wait_s = math.max(wait_s, 1, redis.call('TTL', key))
    end
end
local answer = {wait_s}
if wait_s > 0 then
    return answer
end
for place, key in ipairs(KEYS) do
    local count = redis.call('INCR', key)
    redis.call('EXPIRE', key, ARGV[2 * place], 'NX')
    if count == tonumber(ARGV[2 * place - 1]) then
        answer[#answer + 1] = place
    end
end
return answer
