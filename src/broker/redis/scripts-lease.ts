import { MARKED, MESSAGE_OF, type Script, WAKE } from './scripts.ts'

// Scripts for signs of life of workers, and for the messages of dead workers.

/**
 * Gives a sign of life and finds workers whose lease has ended. Renews entries of `unacked_index`, so that kombu's visibility
 * timeout does not restore messages that run here; uses XX, because a removed entry must not return.
 * KEYS: workers, unacked_index, held · ARGV: worker, lease in seconds, 1 to renew entries
 * Returns { 1 if this worker was registered, else 0, then pairs of a worker and the milliseconds since its lease ended… }
 */
export const BEAT: Script = {
  name: 'beat',
  lua: `
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local known = redis.call('ZSCORE', KEYS[1], ARGV[1]) and 1 or 0
redis.call('ZADD', KEYS[1], string.format('%.3f', now + tonumber(ARGV[2])), ARGV[1])
if ARGV[3] == '1' then
  local score = string.format('%.6f', now)
  for _, tag in ipairs(redis.call('HKEYS', KEYS[3])) do redis.call('ZADD', KEYS[2], 'XX', score, tag) end
end
local answer = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.3f', now), 'WITHSCORES')
for i = 2, #answer, 2 do answer[i] = string.format('%.0f', (now - tonumber(answer[i])) * 1000) end
table.insert(answer, 1, known)
return answer`,
}

/**
 * Declares a worker dead if it has not renewed its ended lease, and requeues all its messages. A first death counts against
 * every message that the worker held, later deaths only against messages that it had begun (Consumer.begin).
 * KEYS: unacked, unacked_index, deaths, workers, held, begun, broken, sleepers
 * ARGV: worker, wake channel, seconds to remember deaths, 1 if the worker signs off itself
 * Returns the number of requeued messages, or -1 if the worker is alive.
 */
export const REAP: Script = {
  name: 'reap',
  lua: `${MESSAGE_OF}${MARKED}${WAKE}
local time = redis.call('TIME')
local lease = redis.call('ZSCORE', KEYS[4], ARGV[1])
local leaves = ARGV[4] == '1'
if not leaves and (not lease or tonumber(lease) > tonumber(time[1]) + tonumber(time[2]) / 1e6) then return -1 end
local held, requeued = redis.call('HGETALL', KEYS[5]), {}
for i = 1, #held, 2 do
  local tag, origin = held[i], held[i + 1]
  local entry = redis.call('HGET', KEYS[1], tag)
  local message = entry and messageOf(entry)
  if message then
    local deaths = tonumber(redis.call('HGET', KEYS[3], tag) or 0)
    if not leaves and (deaths == 0 or redis.call('SISMEMBER', KEYS[6], tag) == 1) then
      redis.call('HSET', KEYS[3], tag, deaths + 1)
      redis.call('EXPIRE', KEYS[3], ARGV[3])
    end
    redis.call('ZREM', KEYS[2], tag)
    redis.call('HDEL', KEYS[1], tag)
    local space = origin:find(' ', 1, true)
    requeued[#requeued + 1] = { tonumber(origin:sub(1, space - 1)), origin:sub(space + 1), leaves and message or marked(message) }
  end
end
table.sort(requeued, function (a, b) return a[1] > b[1] end)
for _, each in ipairs(requeued) do redis.call('RPUSH', each[2], each[3]) end
for _, each in ipairs(redis.call('LRANGE', KEYS[7], 0, -1)) do
  local line = each:find('\\n', 1, true)
  redis.call('RPUSH', each:sub(1, line - 1), each:sub(line + 1))
end
redis.call('DEL', KEYS[5], KEYS[6], KEYS[7])
redis.call('ZREM', KEYS[4], ARGV[1])
if #requeued > 0 then wakeSleepers(KEYS[8], ARGV[2]) end
return #requeued`,
}

/**
 * Restores entries of `unacked` that were not renewed for a long time, as kombu does, because a Python worker that died leaves
 * no other trace. An entry that neither kombu nor this script can read stays in `unacked`, and is reported again after the same
 * time.
 * KEYS: unacked, unacked_index, sleepers · ARGV: seconds, key prefix, wake channel, maximum of entries
 * Returns { number of restored entries, tags of unreadable entries… }
 */
export const RESTORE: Script = {
  name: 'restore',
  lua: `${MESSAGE_OF}${MARKED}${WAKE}
local time = redis.call('TIME')
local tags = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', tonumber(time[1]) - tonumber(ARGV[1]), 'LIMIT', 0, ARGV[4])
local answer = { 0 }
for i = #tags, 1, -1 do
  local entry = redis.call('HGET', KEYS[1], tags[i])
  local readable, decoded = pcall(cjson.decode, entry or '')
  local message = readable and messageOf(entry)
  if message and type(decoded[3]) == 'string' then
    local properties = type(decoded[1].properties) == 'table' and decoded[1].properties or {}
    local priority = type(properties.priority) == 'number' and properties.priority or 0
    local step = priority >= 9 and '9' or priority >= 6 and '6' or priority >= 3 and '3' or ''
    redis.call('RPUSH', ARGV[2] .. decoded[3] .. (step == '' and '' or '\\6\\22' .. step), marked(message))
    redis.call('HDEL', KEYS[1], tags[i])
    redis.call('ZREM', KEYS[2], tags[i])
    answer[1] = answer[1] + 1
  elseif entry then
    redis.call('ZADD', KEYS[2], time[1], tags[i])
    answer[#answer + 1] = tags[i]
  else
    redis.call('ZREM', KEYS[2], tags[i])
  end
end
if answer[1] > 0 then wakeSleepers(KEYS[3], ARGV[3]) end
return answer`,
}
