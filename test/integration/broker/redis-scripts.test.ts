import { randomBytes, randomInt } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { createRedisConnection, type RedisConnection } from '../../../src/broker/redis/connection.ts'
import { encodeEnvelope } from '../../../src/broker/redis/envelope.ts'
import { redisKeys } from '../../../src/broker/redis/keys.ts'
import { ACK, REQUEUE, TAKE } from '../../../src/broker/redis/scripts.ts'
import { RESTORE } from '../../../src/broker/redis/scripts-lease.ts'
import { silentLog } from '../../../src/log.ts'
import { createMessage } from '../../../src/message/message.ts'

const server = inject('redisUrl')

const properties = (tag: unknown, routingKey = 'q') => ({
  correlation_id: 'c',
  delivery_info: { exchange: 'e', routing_key: routingKey },
  priority: 0,
  body_encoding: 'base64',
  delivery_tag: tag,
})
const envelope = (tag: unknown, routingKey?: string, headers: object = {}) =>
  JSON.stringify({ body: 'W10=', headers, properties: properties(tag, routingKey) })
/** JSON in the format of Python's json.dumps. */
const spaced = (text: string) => text.replaceAll('":', '": ').replaceAll(',"', ', "')
const lookalike = { x: properties('not-this'), properties: properties('nor-this') }

describe.skipIf(server === undefined)('the entries that Redis keeps for a claimed message', () => {
  const url = `${server}/${randomInt(1, 16)}`
  const prefix = `test_${randomBytes(6).toString('hex')}:`
  const keys = redisKeys(prefix, 0)
  const list = `${prefix}q`
  const ofWorker = [keys.held('w'), keys.broken('w')]
  let redis: Redis
  let connection: RedisConnection

  beforeAll(() => {
    redis = new Redis(url, { protocol: 2 })
    connection = createRedisConnection({ url, platform: 'none' }, 'test', silentLog())
  })
  beforeEach(async () => {
    await redis.zadd(keys.workers, 'inf', 'w')
  })
  afterEach(async () => {
    await redis.del(await redis.keys(`${prefix}*`))
  })
  afterAll(async () => {
    await connection.close()
    await redis.quit()
  })

  const take = async (lists = [list], count = 10) => {
    const claim = [keys.unacked, keys.index, keys.deaths, keys.workers, ...ofWorker, ...lists]
    return (await connection.run(TAKE, claim, ['w', count, 1e6, 0])) as [number, number[], number[], string[]]
  }
  const requeue = (tags: string[]) =>
    connection.run(
      REQUEUE,
      [keys.unacked, keys.index, keys.deaths, keys.held('w'), keys.begun('w'), keys.sleepers],
      [keys.wakeChannel, 60, ...tags.flatMap((tag) => [tag, 0])],
    )

  const ours = encodeEnvelope(createMessage({ id: 'i', task: 't', args: ['"properties": {'], queue: 'q' }), 't1').text
  it.each([
    ['from onedyno', ours, 't1', ['', 'q']],
    ['from kombu', spaced(envelope('t2')), 't2', ['e', 'q']],
    ['with headers that look like properties', envelope('t3', 'q', lookalike), 't3', ['e', 'q']],
    ['with headers after the properties', envelope('t4').replace(/^\{(.*),("properties".*)\}$/, '{$2,$1}'), 't4', ['e', 'q']],
    [
      'with text at its end that looks like properties',
      `{"properties":${JSON.stringify(properties('t5'))},"headers":${JSON.stringify(lookalike)}}`,
      't5',
      ['e', 'q'],
    ],
    ['with a number for a tag', envelope(12), '12', ['e', 'q']],
    ['with quotes in the name of its queue', envelope('t6', 'a"b\\c'), 't6', ['e', 'a"b\\c']],
    ['with braces in the name of its queue', envelope('t7', '{a}b'), 't7', ['e', '{a}b']],
    ['with quotes and spaces in its tag', envelope('t "8"'), 't "8"', ['e', 'q']],
    ['without delivery_info', '{"body":"","properties":{"delivery_tag":"t9"}}', 't9', ['', list]],
  ])('contain the tag and the queue of an envelope %s', async (_what, text, tag, [exchange, key]) => {
    await redis.lpush(list, text)
    expect(await take()).toEqual([0, [1], [], [text]])
    expect(await redis.hkeys(keys.unacked)).toEqual([tag])
    const entry = (await redis.hget(keys.unacked, tag)) ?? ''
    expect(JSON.parse(entry)).toEqual([JSON.parse(text), exchange, key])
    expect(entry.startsWith(`[${text},`)).toBe(true)
    expect(await redis.zrange(keys.index, '0', '-1')).toEqual([tag])
    await requeue([tag])
    expect(await redis.lrange(list, 0, -1)).toEqual([text])
    expect(await redis.exists(keys.unacked, keys.index, keys.held('w'))).toBe(0)
  })

  it.each(['', '{}', '{"properties":{"delivery_tag":null}}', 'no JSON'])(
    'are not made for the text %j, which has no tag and goes into the list of broken messages',
    async (text) => {
      await redis.lpush(list, text)
      expect(await take()).toEqual([1, [0], [], []])
      expect(await redis.lrange(keys.broken('w'), 0, -1)).toEqual([`${list}\n${text}`])
    },
  )

  it('are created for messages of several lists in order, with the number of deaths of each message, up to the limit', async () => {
    const other = `${prefix}other`
    for (const tag of ['a', 'b', 'c']) await redis.lpush(list, envelope(tag))
    for (const tag of ['d', 'e']) await redis.lpush(other, envelope(tag))
    await redis.hset(keys.deaths, 'b', 2)
    expect(await take([list, other], 4)).toEqual([0, [3, 1], [0, 2, 0, 0], ['a', 'b', 'c', 'd'].map((tag) => envelope(tag))])
    await requeue(['c', 'a', 'b'])
    expect(await redis.lrange(list, 0, -1)).toEqual(['c', 'b', 'a'].map((tag) => envelope(tag)))
  })

  it('are deleted when the message is acknowledged', async () => {
    for (const tag of ['a b', 'c', 'd']) await redis.lpush(list, envelope(tag))
    await take()
    await redis.hset(keys.deaths, 'c', 1)
    await connection.run(ACK, [keys.unacked, keys.index, keys.deaths, keys.held('w'), keys.begun('w')], ['c', 'a b'])
    expect(await redis.hkeys(keys.unacked)).toEqual(['d'])
    expect(await redis.zrange(keys.index, '0', '-1')).toEqual(['d'])
    expect(await redis.exists(keys.deaths)).toBe(0)
  })

  it('are restored to their queue after the visibility timeout, except unreadable entries', async () => {
    const held = envelope('held')
    await redis.hset(keys.unacked, {
      held: `[${held}, "e", "q"]`,
      broken: '[{"no": "end"',
      nowhere: `[${envelope('nowhere')}, "e", 7]`,
    })
    for (const [at, tag] of ['held', 'broken', 'nowhere', 'gone'].entries()) await redis.zadd(keys.index, at + 1, tag)
    const args = [60, prefix, keys.wakeChannel, 100]
    const restore = () => connection.run(RESTORE, [keys.unacked, keys.index, keys.sleepers], args)
    expect(await restore()).toEqual([1, 'nowhere', 'broken'])
    expect((await redis.lrange(list, 0, -1)).map((text) => JSON.parse(text).properties.delivery_tag)).toEqual(['held'])
    expect((await redis.hkeys(keys.unacked)).sort()).toEqual(['broken', 'nowhere'])
    expect((await redis.zrange(keys.index, '0', '-1')).sort()).toEqual(['broken', 'nowhere'])
    expect(await restore()).toEqual([0])
  })
})
