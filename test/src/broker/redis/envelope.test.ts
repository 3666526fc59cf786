import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeEnvelope, openEnvelope } from '../../../../src/broker/redis/envelope.ts'
import { openPlainEnvelope } from '../../../../src/broker/redis/plain-envelope.ts'
import { createMessage, type MessageOptions } from '../../../../src/message/message.ts'

const PLAIN: MessageOptions = { id: '0198c0de-0000-7000-8000-000000000001', task: 'tasks.echo', args: [1] }
const textOf = (options: Partial<MessageOptions> = {}) => encodeEnvelope(createMessage({ ...PLAIN, ...options }), 'a-tag').text

/** White space at the end means nothing to JSON, and is not what our encoder writes. */
const openByParsing = (text: string, queue: string) => openEnvelope(`${text} `, queue)

describe('an envelope of our own without anything special', () => {
  it('is recognised as a text', () => {
    expect(openPlainEnvelope(textOf(), 'celery')).toEqual({
      message: {
        headers: { id: PLAIN.id, task: 'tasks.echo' },
        properties: {},
        body: '[[1],{},{}]',
        queue: 'celery',
        priority: 0,
      },
      refused: undefined,
      tag: 'a-tag',
      redelivered: false,
    })
  })

  it.each<[string, Partial<MessageOptions>]>([
    ['texts with quotes, backslashes and other alphabets', { args: ['"\\"', '\\', 'żółw 🐢', '\n"'], kwargs: { 'a"b': '}]' } }],
    ['a long body', { args: ['x'.repeat(20_000)] }],
    ['a priority', { priority: 7 }],
    ['another queue', { queue: 'slow queue' }],
    ['an ignored result', { headers: { ignore_result: true } }],
    ['a workflow in its body', { embed: { chain: null, chord: null, callbacks: [], errbacks: null } }],
  ])('is recognised with %s', (_name, options) => {
    const text = textOf(options)
    expect(openPlainEnvelope(text, 'celery')).toEqual(openByParsing(text, 'celery'))
  })
})

describe('an envelope with anything special', () => {
  const text = textOf()
  it.each([
    ['a time', textOf({ eta: new Date(0) })],
    ['an end', textOf({ expires: new Date(0) })],
    ['a header of somebody', textOf({ headers: { mine: 1 } })],
    ['retries', textOf({ headers: { retries: 2 } })],
    ['another root', textOf({ headers: { root_id: 'another' } })],
    ['somebody to reply to', textOf({ properties: { reply_to: 'me' } })],
    ['the mark of a message that was restored', text.replace('"delivery_info":{', '"delivery_info":{"redelivered": true, ')],
    ['an id of other alphabets', textOf({ id: 'żółw' })],
    ['spaces, as Python writes it', text.replaceAll('":', '": ').replaceAll(',"', ', "')],
    ['a body that is not UTF-8', text.replace(/"body":"[^"]+"/, '"body":"/w=="')],
    ['something behind its tag', text.replace(/}}$/, ',"more":1}}')],
  ])('is parsed: %s', (_name, special) => {
    expect(openPlainEnvelope(special, 'celery')).toBeUndefined()
    expect(openEnvelope(special, 'celery')).toEqual(openByParsing(special, 'celery'))
  })
})

it('an envelope is read alike, recognised or parsed', () => {
  const message = fc.record({
    id: fc.oneof(fc.uuid(), fc.string({ minLength: 1 })),
    task: fc.oneof(fc.constant('tasks.echo'), fc.string({ minLength: 1 })),
    args: fc.array(fc.jsonValue(), { maxLength: 3 }),
    kwargs: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 2 }),
    priority: fc.integer({ min: 0, max: 255 }),
    queue: fc.string({ minLength: 1 }),
  })
  fc.assert(
    fc.property(message, fc.uuid(), (options, tag) => {
      const { text } = encodeEnvelope(createMessage(options), tag)
      expect(openEnvelope(text, options.queue)).toEqual(openByParsing(text, options.queue))
    }),
    { numRuns: 500 },
  )
})
