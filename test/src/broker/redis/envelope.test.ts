import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeEnvelope, openEnvelope, openPlainEnvelope } from '../../../../src/broker/redis/envelope.ts'
import { createMessage, type MessageOptions } from '../../../../src/message/message.ts'
import { caseCount } from '../../../support/case-count.ts'

const PLAIN: MessageOptions = { id: '0198c0de-0000-7000-8000-000000000001', task: 'tasks.echo', args: [1] }
const textOf = (options: Partial<MessageOptions> = {}) => encodeEnvelope(createMessage({ ...PLAIN, ...options }), 'a-tag').text

/** Trailing white space is valid JSON, but the fast path does not match it. */
const openByParsing = (text: string, queue: string) => openEnvelope(`${text} `, queue)

describe('openPlainEnvelope', () => {
  it('opens our own envelope without parsing it as JSON', () => {
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
    ['strings with quotes, backslashes and other alphabets', { args: ['"\\"', '\\', 'żółw 🐢', '\n"'], kwargs: { 'a"b': '}]' } }],
    ['a long body', { args: ['x'.repeat(20_000)] }],
    ['a priority', { priority: 7 }],
    ['another queue', { queue: 'slow queue' }],
    ['an ignored result', { headers: { ignore_result: true } }],
    ['a workflow in its body', { embed: { chain: null, chord: null, callbacks: [], errbacks: null } }],
  ])('opens an envelope with %s', (_name, options) => {
    const text = textOf(options)
    expect(openPlainEnvelope(text, 'celery')).toEqual(openByParsing(text, 'celery'))
  })
})

describe('openEnvelope', () => {
  const text = textOf()
  it.each([
    ['an eta', textOf({ eta: new Date(0) })],
    ['an expiry', textOf({ expires: new Date(0) })],
    ['a custom header', textOf({ headers: { mine: 1 } })],
    ['retries', textOf({ headers: { retries: 2 } })],
    ['a root id that is not its own id', textOf({ headers: { root_id: 'another' } })],
    ['a reply_to property', textOf({ properties: { reply_to: 'me' } })],
    ['the redelivered mark of a restored message', text.replace('"delivery_info":{', '"delivery_info":{"redelivered": true, ')],
    ['an id in another alphabet', textOf({ id: 'żółw' })],
    ['spaces between tokens, as Python writes it', text.replaceAll('":', '": ').replaceAll(',"', ', "')],
    ['a body that is not UTF-8', text.replace(/"body":"[^"]+"/, '"body":"/w=="')],
    ['a property after the delivery tag', text.replace(/}}$/, ',"more":1}}')],
  ])('parses an envelope with %s as JSON', (_name, special) => {
    expect(openPlainEnvelope(special, 'celery')).toBeUndefined()
    expect(openEnvelope(special, 'celery')).toEqual(openByParsing(special, 'celery'))
  })
})

it('any envelope gives the same message whether it is opened by matching or by parsing', () => {
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
    { numRuns: caseCount(100, 500) },
  )
})
