/** A Lua script: sent once, then called by its hash. */
export interface Script {
  readonly name: string
  readonly lua: string
}

// Every script runs alone on the server, so what it does is done whole or not at all. They work on kombu's keys (`unacked`,
// `unacked_index`, the lists) so that Python workers see the same messages, and on our own beside them (redis-keys.ts).

/** The message inside an entry of `unacked`, `[message, exchange, routing key]`: cut out as text, because cjson turns `[]` into `{}`. */
export const MESSAGE_OF = `
local function messageOf(entry)
  return entry:match('^%[(.*})%s*,%s*"[^{}]*"%s*,%s*"[^{}]*"%s*%]$') or entry:match('^%[(.*})%s*,%s*"[^"]*"%s*,%s*"[^"]*"%s*%]$')
end`

/** What kombu notes on a message that it restores. */
export const MARKED = `
local function marked(message)
  if message:find('"redelivered":%s*true') then return message end
  return (message:gsub('("delivery_info":%s*{)(%s*")', '%1"redelivered": true, %2', 1))
end`

/** Consumers that cannot be told by CLIENT TRACKING leave a key behind before they sleep. */
export const WAKE = `
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
 * Tag, exchange and routing key of an envelope. What kombu or we wrote ends with them and is not parsed, which costs more than all the rest:
 * a quote after a comma begins a string in any JSON, and from there to the end no brace is left that could change what belongs to whom.
 * What we wrote is tried first, because a pattern without classes of characters is matched in two thirds of the time.
 */
const FIELDS_OF = `
local ENDING = '^,%s?"properties":%s?{[^{}]*"delivery_info":%s?{"exchange":%s?"([^"\\\\]*)",%s?"routing_key":%s?"([^"\\\\]*)"}' ..
  '[^{}]*"delivery_tag":%s?"([^"\\\\]+)"}}$'
local OURS = '^,"properties":{"delivery_mode":2,"priority":%d,"correlation_id":"[^"\\\\]*","delivery_info":{"exchange":"([^"\\\\]*)",' ..
  '"routing_key":"([^"\\\\]*)"},"body_encoding":"base64","delivery_tag":"([^"\\\\]+)"}}$'
local function fieldsOf(message, list)
  local at = message:find(',"properties":{', -1024, true) or message:find(', "properties": {', -1024, true)
  if at then
    local exchange, key, tag = message:match(OURS, at)
    if not tag then exchange, key, tag = message:match(ENDING, at) end
    if tag then return tag, '"' .. exchange .. '"', '"' .. key .. '"' end
  end
  local readable, envelope = pcall(cjson.decode, message)
  local properties = readable and type(envelope) == 'table' and envelope.properties
  local tag = type(properties) == 'table' and properties.delivery_tag
  if type(tag) == 'number' then tag = string.format('%.0f', tag) end
  if type(tag) ~= 'string' then return nil end
  local info = type(properties.delivery_info) == 'table' and properties.delivery_info or {}
  local exchange = type(info.exchange) == 'string' and info.exchange or ''
  local key = type(info.routing_key) == 'string' and info.routing_key or list
  return tag, cjson.encode(exchange), cjson.encode(key)
end`

/**
 * Takes messages, highest step first, and notes in the same moment who has them: between a list and \`unacked\` nothing can be lost.
 * What has no envelope that kombu could restore goes to the worker's own list of broken messages.
 * KEYS: unacked, unacked_index, deaths, workers, held, broken, lists… · ARGV: worker, how many, how many bytes, number of the first
 * Returns { broken, { messages of each list }, { deaths of each message, or nothing where there are none }, { messages } }; error GONE when
 * the worker was declared dead.
 */
export const TAKE: Script = {
  name: 'take',
  lua: `${FIELDS_OF}
if not redis.call('ZSCORE', KEYS[4], ARGV[1]) then return redis.error_reply('GONE this worker was declared dead') end
local time = redis.call('TIME')
local now = string.format('%d.%06d', time[1], time[2])
local anyDeaths = redis.call('EXISTS', KEYS[3]) == 1
local left, bytes, sequence = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local broken, counts, deaths, messages = 0, {}, {}, {}
local n, index, unacked, held = 0, {}, {}, {}
for list = 7, #KEYS do
  local before, suffix = n, ' ' .. KEYS[list]
  while left > 0 and bytes > 0 do
    local message = redis.call('RPOP', KEYS[list])
    if not message then break end
    left, bytes = left - 1, bytes - #message
    local tag, exchange, key = fieldsOf(message, KEYS[list])
    if not tag then
      redis.call('LPUSH', KEYS[6], KEYS[list] .. '\\n' .. message)
      broken = broken + 1
    else
      n = n + 1
      index[2 * n - 1], index[2 * n] = now, tag
      unacked[2 * n - 1], unacked[2 * n] = tag, '[' .. message .. ', ' .. exchange .. ', ' .. key .. ']'
      held[2 * n - 1], held[2 * n] = tag, sequence .. suffix
      sequence = sequence + 1
      messages[n] = message
      if anyDeaths then deaths[n] = tonumber(redis.call('HGET', KEYS[3], tag) or 0) end
    end
  end
  counts[list - 6] = n - before
end
if n > 0 then
  redis.call('ZADD', KEYS[2], unpack(index))
  redis.call('HSET', KEYS[1], unpack(unacked))
  redis.call('HSET', KEYS[5], unpack(held))
end
return { broken, counts, deaths, messages }`,
}

/**
 * Acknowledges, whoever holds the messages by now: their outcome is known.
 * KEYS: unacked, unacked_index, deaths, held, begun · ARGV: tags with a space between, then each tag that has a space inside
 */
export const ACK: Script = {
  name: 'ack',
  lua: `
local tags = {}
for tag in ARGV[1]:gmatch('[^ ]+') do tags[#tags + 1] = tag end
for i = 2, #ARGV do tags[#tags + 1] = ARGV[i] end
redis.call('ZREM', KEYS[2], unpack(tags))
redis.call('HDEL', KEYS[1], unpack(tags))
redis.call('HDEL', KEYS[3], unpack(tags))
redis.call('SREM', KEYS[5], unpack(tags))
return redis.call('HDEL', KEYS[4], unpack(tags))`,
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
