import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createMessage, decodeBody, fullHeaders } from '../../../src/message/message.ts'
import { UndecodableMessageError } from '../../../src/message/undecodable.ts'

const samples = join(import.meta.dirname, '../../fixtures/celery-samples')
const sample = (name: string) => JSON.parse(readFileSync(join(samples, `${name}.json`), 'utf8'))

describe('a message', () => {
  it('holds only the headers that differ from their defaults', () => {
    const message = createMessage({ id: 'i', task: 'tasks.add', args: [2, 3] })
    expect(message).toEqual({
      headers: { id: 'i', task: 'tasks.add' },
      properties: {},
      body: '[[2,3],{},{}]',
      queue: 'celery',
      priority: 0,
    })
  })

  it('carries times as ISO strings in UTC', () => {
    const at = new Date('2026-11-22T15:39:59.285Z')
    const { headers } = createMessage({ id: 'i', task: 't', args: [], eta: at, expires: at })
    expect(headers).toMatchObject({ eta: '2026-11-22T15:39:59.285Z', expires: '2026-11-22T15:39:59.285Z' })
  })

  it('keeps its own id and task if custom headers have the names id and task', () => {
    expect(createMessage({ id: 'i', task: 't', args: [], headers: { id: 'x', task: 'y', z: 1 } }).headers).toEqual({
      id: 'i',
      task: 't',
      z: 1,
    })
  })

  it.each(['celery52', 'celery56'])('has every header that Celery sends after defaults are filled in (%s)', (version) => {
    const real = sample(`task-v2-plain.amqp.${version}`)
    const headers = fullHeaders(createMessage({ id: 'i', task: 'tasks.add', args: [2, 3] }))
    for (const [name, value] of Object.entries(real.headers)) {
      expect(headers, name).toHaveProperty(name)
      if (!['id', 'root_id', 'origin', 'lang', 'argsrepr'].includes(name)) expect(headers[name], name).toEqual(value)
    }
  })
})

describe('decodeBody()', () => {
  const real = readdirSync(samples).filter((name) => name.startsWith('task-') && !/pickle|compression/.test(name))

  it('has more than 15 captured messages of Celery to read', () => expect(real.length).toBeGreaterThan(15))

  it.each(real)('reads the captured message %s', (name) => {
    const { body, body_json } = JSON.parse(readFileSync(join(samples, name), 'utf8'))
    const [args, kwargs, embed] = Array.isArray(body_json)
      ? body_json
      : [body_json.args, body_json.kwargs, { callbacks: body_json.callbacks }]
    expect(decodeBody(body)).toMatchObject({ args, kwargs, embed })
  })

  it.each([
    ['an empty embed', '[[1],{"k":2},{}]', { args: [1], kwargs: { k: 2 }, embed: {} }],
    ['an embed of null', '[[1],{},null]', { args: [1], kwargs: {}, embed: {} }],
    ['kwargs of null', '[[],null,null]', { args: [], kwargs: {}, embed: {} }],
    [
      'NaN and Infinity, which Python writes',
      '[[NaN, -Infinity, "NaN", "a\\"Infinity"],{},{}]',
      { args: [Number.NaN, Number.NEGATIVE_INFINITY, 'NaN', 'a"Infinity'], kwargs: {}, embed: {} },
    ],
    [
      'the fields of protocol 1',
      '{"task":"t","id":"i","args":[1],"kwargs":{"k":2},"callbacks":null}',
      { args: [1], kwargs: { k: 2 }, embed: { callbacks: null, errbacks: null, chain: null, chord: null } },
    ],
  ])('reads a body with %s', (_name, text, body) => {
    expect(decodeBody(text)).toEqual(body)
  })

  it.each([
    ['a text that is not JSON', 'hello', 'not JSON'],
    ['an empty text', '', 'not JSON'],
    ['a list of two', '[[],{}]', 'must have 3 elements [args, kwargs, embed], not 2'],
    ['an object without args', '{"task":"t"}', 'must be a list [args, kwargs, embed]'],
    ['args that are an object', '[{},{},{}]', 'args must be a list'],
    ['args of null', '[null,{},{}]', 'args must be a list'],
    ['kwargs that are a list', '[[],[1],{}]', 'kwargs must be an object'],
    ['an embed that is a text', '[[],{},"x"]', 'embed must be an object'],
    ['a number', '7', 'must be a list [args, kwargs, embed]'],
  ])('refuses %s and gives the reason', (_name, text, reason) => {
    expect(() => decodeBody(text)).toThrow(UndecodableMessageError)
    expect(() => decodeBody(text)).toThrow(reason)
  })
})
