/** A Lua script: sent once, then called by its hash. */
export interface Script {
  readonly name: string
  readonly lua: string
}

// Every script runs alone on the server, so what it does is done whole or not at all. They work on kombu's keys (`unacked`,
// `unacked_index`, the lists) so that Python workers see the same messages, and on our own beside them (redis-keys.ts).

/** The message inside an entry of `unacked`, `[message, exchange, routing key]`: cut out as text, because cjson turns `[]` into `{}`. */
const MESSAGE_OF = `
local function messageOf(entry)
  return entry:match('^%[(.*})%s*,%s*"[^{}]*"%s*,%s*"[^{}]*"%s*%]$')
end`

/** What kombu notes on a message that it restores. */
const MARKED = `
local function marked(message)
  if message:find('"redelivered":%s*true') then return message end
  return (message:gsub('("delivery_info":%s*{)(%s*")', '%1"redelivered": true, %2', 1))
end`

/** Consumers that cannot be told by CLIENT TRACKING leave a key behind before they sleep. */
const WAKE = `
local function wakeSleepers(key, channel)
  if redis.call('EXISTS', key) == 1 then
    redis.call('DEL', key)
    redis.call('PUBLISH', channel, '')
  end
end`

/**
 * A batch of one publisher, once: batches are numbered, so an attempt whose answer was lost may be repeated.
 * KEYS: last batch of this publisher, sleepers, lists… · ARGV: number of the batch, seconds to remember it, wake channel, then pairs of
 * the list's place among the lists and the message
 */
export const PUBLISH: Script = {
  name: 'publish',
  lua: `${WAKE}
local last = redis.call('GET', KEYS[1])
if last and tonumber(last) >= tonumber(ARGV[1]) then return 0 end
for i = 4, #ARGV, 2 do redis.call('LPUSH', KEYS[2 + tonumber(ARGV[i])], ARGV[i + 1]) end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
wakeSleepers(KEYS[2], ARGV[3])
return 1`,
}

/**
 * Takes messages, highest step first, and notes in the same moment who has them: between a list and \`unacked\` nothing can be lost.
 * What has no envelope that kombu could restore goes to the worker's own list of broken messages.
 * KEYS: unacked, unacked_index, deaths, workers, held, broken, lists… · ARGV: worker, how many, how many bytes, number of the first
 * Returns { broken, message, place of its list, deaths, message, … }; error GONE when the worker was declared dead.
 */
export const TAKE: Script = {
  name: 'take',
  lua: `
if not redis.call('ZSCORE', KEYS[4], ARGV[1]) then return redis.error_reply('GONE this worker was declared dead') end
local time = redis.call('TIME')
local now = string.format('%d.%06d', time[1], time[2])
local anyDeaths = redis.call('EXISTS', KEYS[3]) == 1
local left, bytes, sequence = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local answer, index, unacked, held = { 0 }, {}, {}, {}
for list = 7, #KEYS do
  while left > 0 and bytes > 0 do
    local message = redis.call('RPOP', KEYS[list])
    if not message then break end
    left, bytes = left - 1, bytes - #message
    local readable, envelope = pcall(cjson.decode, message)
    local properties = readable and type(envelope) == 'table' and envelope.properties
    local tag = type(properties) == 'table' and properties.delivery_tag
    if type(tag) == 'number' then tag = string.format('%.0f', tag) end
    if type(tag) ~= 'string' then
      redis.call('LPUSH', KEYS[6], KEYS[list] .. '\\n' .. message)
      answer[1] = answer[1] + 1
    else
      local info = type(properties.delivery_info) == 'table' and properties.delivery_info or {}
      local exchange = type(info.exchange) == 'string' and info.exchange or ''
      local key = type(info.routing_key) == 'string' and info.routing_key or KEYS[list]
      index[#index + 1], index[#index + 2] = now, tag
      unacked[#unacked + 1] = tag
      unacked[#unacked + 1] = '[' .. message .. ', ' .. cjson.encode(exchange) .. ', ' .. cjson.encode(key) .. ']'
      held[#held + 1], held[#held + 2] = tag, string.format('%.0f ', sequence) .. KEYS[list]
      sequence = sequence + 1
      answer[#answer + 1] = message
      answer[#answer + 1] = list - 7
      answer[#answer + 1] = anyDeaths and tonumber(redis.call('HGET', KEYS[3], tag) or 0) or 0
    end
  end
end
if #unacked > 0 then
  redis.call('ZADD', KEYS[2], unpack(index))
  redis.call('HSET', KEYS[1], unpack(unacked))
  redis.call('HSET', KEYS[5], unpack(held))
end
return answer`,
}

/** Acknowledges, whoever holds the messages by now: their outcome is known. KEYS: unacked, unacked_index, deaths, held, begun · ARGV: tags */
export const ACK: Script = {
  name: 'ack',
  lua: `
redis.call('ZREM', KEYS[2], unpack(ARGV))
redis.call('HDEL', KEYS[1], unpack(ARGV))
redis.call('HDEL', KEYS[3], unpack(ARGV))
redis.call('SREM', KEYS[5], unpack(ARGV))
return redis.call('HDEL', KEYS[4], unpack(ARGV))`,
}

/**
 * Acknowledges a message before it runs, if this worker holds it still. KEYS: as of `ack` · ARGV: tag. Returns 1; 0: it is in other hands.
 */
export const ACK_MINE: Script = {
  name: 'ack-mine',
  lua: `
if redis.call('HDEL', KEYS[4], ARGV[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('SREM', KEYS[5], ARGV[1])
return 1`,
}

/**
 * Gives messages back to the front of their lists, in their order. What this worker does not hold any more is left alone.
 * KEYS: unacked, unacked_index, deaths, held, begun, sleepers · ARGV: wake channel, seconds to remember deaths, then pairs of tag and
 * what it costs: 0 nothing, 1 a death
 */
export const GIVE_BACK: Script = {
  name: 'give-back',
  lua: `${MESSAGE_OF}${MARKED}${WAKE}
local back = {}
for i = 3, #ARGV, 2 do
  local tag, deaths = ARGV[i], tonumber(ARGV[i + 1])
  local place = redis.call('HGET', KEYS[4], tag)
  if place then
    redis.call('HDEL', KEYS[4], tag)
    redis.call('SREM', KEYS[5], tag)
    local entry = redis.call('HGET', KEYS[1], tag)
    local message = entry and messageOf(entry)
    if message then
      if deaths > 0 then
        redis.call('HINCRBY', KEYS[3], tag, deaths)
        redis.call('EXPIRE', KEYS[3], ARGV[2])
        message = marked(message)
      end
      redis.call('ZREM', KEYS[2], tag)
      redis.call('HDEL', KEYS[1], tag)
      local space = place:find(' ', 1, true)
      back[#back + 1] = { tonumber(place:sub(1, space - 1)), place:sub(space + 1), message }
    end
  end
end
table.sort(back, function (a, b) return a[1] > b[1] end)
for _, each in ipairs(back) do redis.call('RPUSH', each[2], each[3]) end
if #back > 0 then wakeSleepers(KEYS[6], ARGV[1]) end
return #back`,
}

/**
 * A sign of life, and who gave none. Also keeps kombu's visibility timeout from restoring what runs here: XX, because an entry that is
 * gone must not come back. KEYS: workers, unacked_index, held · ARGV: worker, lease in seconds, 1 to renew entries
 * Returns { 1 when this worker was registered still, names whose lease is over… }
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
 * Declares a worker dead when its lease is still over, and gives back all it held. Its first death is counted against everything that it
 * held, later ones only against what it had begun (Consumer.begin).
 * KEYS: unacked, unacked_index, deaths, workers, held, begun, broken, sleepers · ARGV: worker, wake channel, seconds to remember deaths,
 * 1 when it leaves by itself. Returns how many came back, or -1 when it lives.
 */
export const REAP: Script = {
  name: 'reap',
  lua: `${MESSAGE_OF}${MARKED}${WAKE}
local time = redis.call('TIME')
local lease = redis.call('ZSCORE', KEYS[4], ARGV[1])
local leaves = ARGV[4] == '1'
if not leaves and (not lease or tonumber(lease) > tonumber(time[1]) + tonumber(time[2]) / 1e6) then return -1 end
local held, back = redis.call('HGETALL', KEYS[5]), {}
for i = 1, #held, 2 do
  local tag, place = held[i], held[i + 1]
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
    local space = place:find(' ', 1, true)
    back[#back + 1] = { tonumber(place:sub(1, space - 1)), place:sub(space + 1), leaves and message or marked(message) }
  end
end
table.sort(back, function (a, b) return a[1] > b[1] end)
for _, each in ipairs(back) do redis.call('RPUSH', each[2], each[3]) end
for _, each in ipairs(redis.call('LRANGE', KEYS[7], 0, -1)) do
  local line = each:find('\\n', 1, true)
  redis.call('RPUSH', each:sub(1, line - 1), each:sub(line + 1))
end
redis.call('DEL', KEYS[5], KEYS[6], KEYS[7])
redis.call('ZREM', KEYS[4], ARGV[1])
if #back > 0 then wakeSleepers(KEYS[8], ARGV[2]) end
return #back`,
}

/**
 * Entries of \`unacked\` that nobody renewed for long, as kombu restores them: their worker, Python or not, is gone and left no other trace.
 * KEYS: unacked, unacked_index, sleepers · ARGV: seconds, key prefix, wake channel, at most so many
 */
export const RESTORE: Script = {
  name: 'restore',
  lua: `${MESSAGE_OF}${MARKED}${WAKE}
local time = redis.call('TIME')
local tags = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', tonumber(time[1]) - tonumber(ARGV[1]), 'LIMIT', 0, ARGV[4])
local count = 0
for i = #tags, 1, -1 do
  local entry = redis.call('HGET', KEYS[1], tags[i])
  local readable, decoded = pcall(cjson.decode, entry or '')
  local message = readable and messageOf(entry)
  redis.call('ZREM', KEYS[2], tags[i])
  if message and type(decoded[3]) == 'string' then
    local properties = type(decoded[1].properties) == 'table' and decoded[1].properties or {}
    local priority = type(properties.priority) == 'number' and properties.priority or 0
    local step = priority >= 9 and '9' or priority >= 6 and '6' or priority >= 3 and '3' or ''
    redis.call('RPUSH', ARGV[2] .. decoded[3] .. (step == '' and '' or '\\6\\22' .. step), marked(message))
    redis.call('HDEL', KEYS[1], tags[i])
    count = count + 1
  end
end
if count > 0 then wakeSleepers(KEYS[3], ARGV[3]) end
return count`,
}

/** Messages of these queues in somebody's hands. KEYS: unacked · ARGV: queues. Returns one count for each. */
export const RUNNING: Script = {
  name: 'running',
  lua: `
local counts = {}
for i, queue in ipairs(ARGV) do counts[i] = 0 end
for _, entry in ipairs(redis.call('HVALS', KEYS[1])) do
  for i, queue in ipairs(ARGV) do
    local ending = ', ' .. cjson.encode(queue) .. ']'
    if entry:sub(-#ending) == ending then counts[i] = counts[i] + 1 end
  end
end
return counts`,
}

/** KEYS: lists. Returns how many messages were removed. */
export const PURGE: Script = {
  name: 'purge',
  lua: `
local count = 0
for _, list in ipairs(KEYS) do count = count + redis.call('LLEN', list) end
redis.call('DEL', unpack(KEYS))
return count`,
}

/** Results for Celery's clients. KEYS: one for each result, which is its channel too · ARGV: seconds to keep them, then the documents */
export const MIRROR: Script = {
  name: 'mirror',
  lua: `
for i, key in ipairs(KEYS) do
  local stored = redis.call('GET', key)
  local readable, known = pcall(cjson.decode, stored or '')
  if not (readable and type(known) == 'table' and known.status == 'SUCCESS') then
    redis.call('SETEX', key, ARGV[1], ARGV[i + 1])
    redis.call('PUBLISH', key, ARGV[i + 1])
  end
end
return 0`,
}
