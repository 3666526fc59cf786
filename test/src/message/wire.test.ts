import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { checkJson } from '../../../src/message/check-json.ts'
import { createMessage, decodeBody, fullHeaders, parseCeleryTime } from '../../../src/message/message.ts'
import { UndecodableMessageError } from '../../../src/message/undecodable.ts'
import { decodeCelery, encodeCelery, type WireProperties } from '../../../src/message/wire.ts'

const samples = join(import.meta.dirname, '../../fixtures/celery-samples')
const names = readdirSync(samples).filter((name) => /^task-v\d-.*\.amqp\./.test(name))

interface Sample {
  readonly headers: Record<string, unknown>
  readonly properties: WireProperties
  readonly body: string | null
  readonly body_base64: string | null
  readonly body_json: unknown
  readonly routing_key: string
}
const sample = (name: string) => JSON.parse(readFileSync(join(samples, name), 'utf8')) as Sample
const bytes = ({ body, body_base64 }: Sample) => (body === null ? Buffer.from(body_base64 ?? '', 'base64') : Buffer.from(body))
const decodeSample = (name: string) => {
  const { headers, properties, routing_key } = sample(name)
  return decodeCelery({ headers, properties, body: bytes(sample(name)), queue: routing_key })
}

const JSON_TYPE = { content_type: 'application/json', content_encoding: 'utf-8' }
const wire = (
  headers: Record<string, unknown>,
  body: string | Buffer = '[[1],{},{}]',
  properties: WireProperties = JSON_TYPE,
) => ({ headers, properties, body: Buffer.from(body as string), queue: 'celery' })

describe('decodeCelery() with the captured messages of Celery', () => {
  const readable = names.filter((name) => !name.includes('pickle'))
  it('has more than 18 messages to read', () => expect(readable.length).toBeGreaterThan(18))

  it.each(readable)('reads %s', (name) => {
    const { headers, properties, body_json, routing_key } = sample(name)
    const { message, refused } = decodeSample(name)
    const old = headers.task === undefined ? (body_json as Record<string, unknown>) : headers
    expect(refused).toBeUndefined()
    expect(message.headers.id).toBe(old.id)
    expect(message.headers.task).toBe(old.task)
    expect(message.queue).toBe(routing_key)
    expect(message.priority).toBe(properties.priority ?? 0)
    expect(message.properties.reply_to).toBe(properties.reply_to)
    for (const kept of ['eta', 'expires', 'group', 'group_index', 'parent_id', 'shadow'])
      expect(message.headers[kept] ?? null, kept).toEqual(old[kept] ?? null)
    expect(message.headers.retries ?? 0).toBe(old.retries)
    expect(message.headers.timelimit ?? [null, null]).toEqual(old.timelimit)
    expect(message.headers.root_id ?? message.headers.id).toBe(old.root_id ?? old.id)
    const { args, embed } = decodeBody(message.body)
    const plain = body_json ?? JSON.parse(message.body)
    expect(args).toEqual(Array.isArray(plain) ? plain[0] : (plain as { args: unknown }).args)
    if (Array.isArray(plain)) expect(embed).toEqual(plain[2])
  })

  it.each(names.filter((name) => name.includes('pickle')))('refuses %s, and keeps the id of the message', (name) => {
    const { message, refused } = decodeSample(name)
    expect(message.headers.id).toBe('00000000-0000-4000-8000-00000000000a')
    expect(refused).toEqual({
      name: 'ContentDisallowed',
      message: 'Refusing to deserialize untrusted content of type pickle (application/x-python-serialize)',
    })
  })

  it('keeps the fields of a workflow when the message is encoded again', () => {
    for (const name of readable.filter((each) => each.startsWith('task-v2'))) {
      const { headers, properties } = sample(name)
      const again = encodeCelery(decodeSample(name).message)
      const { compression, ...expected } = headers
      expect(again.headers, name).toMatchObject(expected)
      expect(again.properties.reply_to, name).toBe(properties.reply_to)
      expect(again.properties.correlation_id, name).toBe(properties.correlation_id)
    }
  })
})

describe('encodeCelery', () => {
  const now = Date.parse('2026-11-22T12:00:00Z')

  it('sends the properties that Celery sends', () => {
    expect(encodeCelery(createMessage({ id: 'i', task: 't', args: [1], priority: 4 })).properties).toEqual({
      content_type: 'application/json',
      content_encoding: 'utf-8',
      delivery_mode: 2,
      priority: 4,
      correlation_id: 'i',
    })
  })

  it.each([
    ['2026-11-22T12:02:00Z', '120000'],
    ['2026-11-22T11:00:00Z', '0'],
  ])('gives a message that expires at %s the expiration %s', (expires, expiration) => {
    const message = createMessage({ id: 'i', task: 't', args: [], expires: new Date(expires) })
    expect(encodeCelery(message, now).properties.expiration).toBe(expiration)
  })

  it('is reversed by decodeCelery', () => {
    const options = { id: 'i', task: 'tasks.add', args: [1, 'ü\u{1F980}', null], kwargs: { k: 'v' }, priority: 3 }
    const sent = createMessage({ ...options, queue: 'other', headers: { custom: { x: 1 }, nothing: null } })
    expect(decodeCelery({ ...encodeCelery(sent), queue: 'other' })).toEqual({ message: sent, refused: undefined })
  })

  it('does not parse a long body to make argsrepr', () => {
    const message = createMessage({ id: 'i', task: 't', args: ['x'.repeat(1 << 20)] })
    expect(fullHeaders(message).argsrepr).toHaveLength(1024)
  })

  it('writes an unreadable body unchanged', () => {
    const broken = { ...createMessage({ id: 'i', task: 't', args: [] }), body: 'hello' }
    expect(encodeCelery(broken).body.toString()).toBe('hello')
  })
})

describe('decodeCelery accepts', () => {
  const plain = Buffer.from('[[2],{},{}]')
  it.each([
    ['a message without a content type', wire({ id: 'i', task: 't' }, plain, {})],
    ['a content type with a charset', wire({ id: 'i', task: 't' }, plain, { content_type: 'application/json; charset=utf-8' })],
    ['zlib under the name of gzip', wire({ id: 'i', task: 't', compression: 'application/x-gzip' }, deflateSync(plain))],
    ['real gzip', wire({ id: 'i', task: 't', compression: 'gzip' }, gzipSync(plain))],
    ['latin-1', wire({ id: 'i', task: 't' }, plain, { content_type: 'application/json', content_encoding: 'iso-8859-1' })],
  ])('%s', (_name, message) => {
    const decoded = decodeCelery(message)
    expect(decoded.refused).toBeUndefined()
    expect(decodeBody(decoded.message.body).args).toEqual([2])
    expect(decoded.message.headers).not.toHaveProperty('compression')
  })

  it('headers of protocol 2 in preference to fields of the body', () => {
    const { message } = decodeCelery(wire({ id: 'header', task: 't' }, '{"id":"body","task":"u","args":[1],"kwargs":{}}'))
    expect(message.headers).toEqual({ id: 'header', task: 't' })
    expect(decodeBody(message.body).args).toEqual([1])
  })

  it('the taskset of protocol 1 as its group', () => {
    const { message } = decodeCelery(wire({}, '{"id":"i","task":"t","args":[],"kwargs":{},"taskset":"g","retries":2}'))
    expect(message.headers).toMatchObject({ id: 'i', task: 't', group: 'g', retries: 2 })
  })

  it('an invalid retry count as 0, and drops headers of the broker', () => {
    const { message } = decodeCelery(wire({ id: 'i', task: 't', retries: 'many', 'x-death': [{}], 'x-mine': 1 }))
    expect(message.headers).toEqual({ id: 'i', task: 't', 'x-mine': 1 })
  })
})

describe('decodeCelery refuses', () => {
  const known = { id: 'i', task: 't' }
  it.each([
    [
      'yaml',
      wire(known, 'x', { content_type: 'application/x-yaml' }),
      'ContentDisallowed',
      'type yaml (application/x-yaml)',
      'i',
    ],
    ['plain text', wire(known, 'x', { content_type: 'text/plain' }), 'ContentDisallowed', 'type text/plain (text/plain)', 'i'],
    ['bytes that are not UTF-8', wire(known, Buffer.from([0xff, 0xfe])), 'DecodeError', "Can't decode message body", 'i'],
    ['an unknown encoding', wire(known, 'x', { content_encoding: 'klingon' }), 'DecodeError', 'klingon', 'i'],
    ['an unknown compression', wire({ ...known, compression: 'application/x-bz2' }), 'DecodeError', 'application/x-bz2', 'i'],
    ['corrupt compressed bytes', wire({ ...known, compression: 'zlib' }, 'no'), 'DecodeError', "Can't decode", 'i'],
    ['a message without a task', wire({}, '{"hello":1}'), 'InvalidTaskError', 'Wrong destination', ''],
    ['a message without headers whose body is not JSON', wire({}, 'hello'), 'DecodeError', "Can't decode", ''],
    ['a message without an id', wire({ task: 't' }), 'InvalidTaskError', 'no id', ''],
    ['an id that is a number', wire({ task: 't', id: 7 }), 'InvalidTaskError', 'no id', ''],
  ])('%s', (_name, message, name, words, id) => {
    const { refused, message: decoded } = decodeCelery(message)
    expect(refused?.name).toBe(name)
    expect(refused?.message).toContain(words)
    expect(decoded.headers.id).toBe(id)
  })

  it('129 MiB of zeros that are compressed to a few kilobytes', () => {
    const bomb = deflateSync(Buffer.alloc(129 * 1024 * 1024))
    expect(decodeCelery(wire({ ...known, compression: 'zlib' }, bomb)).refused?.name).toBe('DecodeError')
  })
})

describe('typed JSON', () => {
  const args = (value: string) => decodeBody(`[[${value}],{},{}]`).args
  it.each([
    ['{"__type__":"datetime","__value__":"2026-01-02T03:04:05.000006+00:00"}', '2026-01-02T03:04:05.000006+00:00'],
    ['{"__type__":"date","__value__":"2026-01-02"}', '2026-01-02'],
    ['{"__type__":"decimal","__value__":"1.10"}', '1.10'],
    ['{"__type__":"uuid","__value__":{"hex":"00000000000040008000000000000001"}}', '00000000-0000-4000-8000-000000000001'],
    ['{"__type__":"bytes","__value__":"é"}', 'é'],
    ['{"__type__":"base64","__value__":"/w=="}', '/w=='],
    ['{"deep":[{"__type__":"date","__value__":"d"}]}', { deep: ['d'] }],
    ['{"__type__":"date","__value__":"d","more":1}', { __type__: 'date', __value__: 'd', more: 1 }],
  ])('is read from %s', (text, value) => expect(args(text)).toEqual([value]))

  it('can be returned as a result unchanged', () => {
    const given = args('{"__type__":"datetime","__value__":"2026-01-02T03:04:05.000006+00:00"}')
    expect(() => checkJson(given, 'result')).not.toThrow()
  })

  it.each(['"complex"', '"constructor"', '7'])('of the unknown type %s is refused', (type) => {
    expect(() => args(`{"__type__":${type},"__value__":"x"}`)).toThrow(UndecodableMessageError)
  })
})

describe('an integer from Python', () => {
  const args = (value: string) => decodeBody(`[[${value}],{},{}]`).args
  it.each([
    ['9007199254740991', 9007199254740991],
    ['-9007199254740991', -9007199254740991],
    ['1152921504606847000', 1152921504606847000],
    ['0.1234567890123456789', 0.12345678901234568],
    ['1e30', 1e30],
    ['"12345678901234567890"', '12345678901234567890'],
    ['{"digits": " 12345678901234567890"}', { digits: ' 12345678901234567890' }],
    ['NaN, 9007199254740991', Number.NaN],
  ])('%s is kept exactly', (text, value) => expect(args(text)[0]).toEqual(value))

  it.each([
    ['9007199254740993', '9007199254740993'],
    ['-9007199254740993', '-9007199254740993'],
    ['1152921504606846976', '1152921504606846976'],
    ['{"deep":[1,\n12345678901234567890]}', '12345678901234567890'],
    ['NaN, 9007199254740993', '9007199254740993'],
    ['9'.repeat(400), `${'9'.repeat(57)}...`],
  ])('%s is refused, because it would be rounded', (text, shown) => {
    const refused = (() => {
      try {
        return args(text)
      } catch (error) {
        return error
      }
    })()
    expect(refused).toMatchObject({
      name: 'DecodeError',
      message: `the integer ${shown} cannot be held exactly by a JavaScript number: send it as a text`,
    })
  })

  it('decodeCelery accepts every message that encodeCelery writes', () => {
    for (const value of [2 ** 60, 2 ** 53 + 2, -(2 ** 63), 1e20, 123456789012345680000])
      expect(args(JSON.stringify(value))).toEqual([value])
  })
})

describe('a time of Celery', () => {
  it.each([
    ['2026-11-22T15:39:59.285545+00:00', '2026-11-22T15:39:59.285Z'],
    ['2026-11-22T15:39:59.285Z', '2026-11-22T15:39:59.285Z'],
    ['2026-11-22T15:39:59', '2026-11-22T15:39:59.000Z'],
    ['2026-11-22T15:39:59+0200', '2026-11-22T13:39:59.000Z'],
    ['2026-11-22', '2026-11-22T00:00:00.000Z'],
  ])('%s is read as %s', (text, iso) => expect(new Date(parseCeleryTime(text)).toISOString()).toBe(iso))

  it.each(['tomorrow', '12345', ''])('%j is not a time', (text) => expect(parseCeleryTime(text)).toBeNaN())
})
