/** A Lua script. It is sent to the server once and then called by its hash. */
export interface Script {
  readonly name: string
  readonly lua: string
}

// The scripts of this file. The server runs one script at a time, so each script is atomic. They use kombu's keys (`unacked`,
// `unacked_index`, the lists), so that Python workers see the same messages, and keys that only onedyno uses (keys.ts).

/**
 * Cuts the message out of an entry of `unacked`, `[message, exchange, routing key]`. It stays text, because decoding and
 * encoding with cjson would turn `[]` into `{}`.
 */
export const MESSAGE_OF = `
local function messageOf(entry)
  return entry:match('^%[(.*})%s*,%s*"[^{}]*"%s*,%s*"[^{}]*"%s*%]$') or entry:match('^%[(.*})%s*,%s*"[^"]*"%s*,%s*"[^"]*"%s*%]$')
end`

/** Marks a message as redelivered, as kombu does when it restores one. */
export const MARKED = `
local function marked(message)
  if message:find('"redelivered":%s*true') then return message end
  return (message:gsub('("delivery_info":%s*{)(%s*")', '%1"redelivered": true, %2', 1))
end`

/** Wakes consumers that cannot use CLIENT TRACKING. Such consumers set the key `sleepers` before they sleep. */
export const WAKE = `
local function wakeSleepers(key, channel)
  if redis.call('EXISTS', key) == 1 then
    redis.call('DEL', key)
    redis.call('PUBLISH', channel, '')
  end
end`

/**
 * Pushes a batch of one publisher exactly once. Batches are numbered, so the call may be repeated if its reply was lost.
 * KEYS: last batch of this publisher, sleepers, lists… · ARGV: number of the batch, seconds to remember it, wake channel, then
 * pairs of the position of the list in KEYS and the message
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
 * Reads delivery tag, exchange and routing key of an envelope. Envelopes of kombu and of onedyno end with these fields, so a
 * pattern reads them: parsing would cost more than the rest of the script. The pattern is safe, because in JSON a quote after a
 * comma starts a string, and no later brace can end the object. OURS is tried first, because a pattern without character classes
 * takes two thirds of the time.
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
 * Takes messages in the order of the lists, and notes their worker at once, so that no message is lost between a list and
 * `unacked`. An entry that is not an envelope which kombu could restore goes to the worker's list of broken entries.
 * KEYS: unacked, unacked_index, deaths, workers, held, broken, lists…
 * ARGV: worker, maximum of messages, maximum of bytes, number of the first message
 * Returns { broken entries, { messages per list }, { deaths per message; empty if no message has any }, { messages } }, or the
 * error GONE if the worker was declared dead.
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
 * Acknowledges messages whose outcomes are stored, even if another worker holds them by now.
 * KEYS: unacked, unacked_index, deaths, held, begun · ARGV: tags separated by spaces, then each tag that contains a space
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
 * Acknowledges a message before it runs.
 * KEYS: the keys of ACK · ARGV: tag.
 * Returns 1, or 0 if this worker no longer holds the message.
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
 * Requeues messages at the front of their lists, in the order in which they were taken. Skips messages that this worker no
 * longer holds.
 * KEYS: unacked, unacked_index, deaths, held, begun, sleepers
 * ARGV: wake channel, seconds to remember deaths, then pairs of a tag and the deaths to count (0 or 1)
 */
export const REQUEUE: Script = {
  name: 'requeue',
  lua: `${MESSAGE_OF}${MARKED}${WAKE}
local requeued = {}
for i = 3, #ARGV, 2 do
  local tag, deaths = ARGV[i], tonumber(ARGV[i + 1])
  local origin = redis.call('HGET', KEYS[4], tag)
  if origin then
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
      local space = origin:find(' ', 1, true)
      requeued[#requeued + 1] = { tonumber(origin:sub(1, space - 1)), origin:sub(space + 1), message }
    end
  end
end
table.sort(requeued, function (a, b) return a[1] > b[1] end)
for _, each in ipairs(requeued) do redis.call('RPUSH', each[2], each[3]) end
if #requeued > 0 then wakeSleepers(KEYS[6], ARGV[1]) end
return #requeued`,
}

/** Counts the messages of each queue that workers hold. KEYS: unacked · ARGV: queues. Returns one count per queue. */
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

/** Deletes lists. KEYS: lists. Returns the number of removed messages. */
export const PURGE: Script = {
  name: 'purge',
  lua: `
local count = 0
for _, list in ipairs(KEYS) do count = count + redis.call('LLEN', list) end
redis.call('DEL', unpack(KEYS))
return count`,
}

/**
 * Writes results for Celery's clients.
 * KEYS: one for each result; its channel has the same name · ARGV: seconds to keep the results, then the documents
 */
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
