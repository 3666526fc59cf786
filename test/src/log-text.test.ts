import { describe, expect, it } from 'vitest'
import { AppError } from '../../src/errors.ts'
import { createLog } from '../../src/log.ts'
import { maskUrl, renderPlain, renderText } from '../../src/log-text.ts'

function capture(options: { format?: 'text' | 'json'; stamp?: boolean; level?: 'info' | 'warn' } = {}) {
  const lines: string[] = []
  const log = createLog(
    { level: options.level ?? 'info', format: options.format ?? 'text', stamp: options.stamp ?? false },
    { write: (line) => void lines.push(line) },
  )
  return { log, lines }
}

describe('a log line', () => {
  it('consists of the message and its fields', () => {
    const { log, lines } = capture()
    log.info({ task: 'tasks.echo', runtimeMs: 3, text: 'a b', list: [1] }, 'task succeeded')
    expect(lines).toEqual(['task succeeded task=tasks.echo runtimeMs=3 text="a b" list=[1]\n'])
  })

  it('shows its level unless the level is info', () => {
    const { log, lines } = capture()
    log.warn('careful')
    expect(lines).toEqual(['WARN careful\n'])
  })

  it('has a time only on request', () => {
    const { log, lines } = capture({ stamp: true })
    log.info('x')
    expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z x\n$/)
  })

  it('shows an expected failure as one line with its hint, and a bug with its stack', () => {
    const { log, lines } = capture()
    log.error({ err: new AppError('PORT_IN_USE', 'port 5000 is taken') }, 'cannot start')
    log.error({ err: new TypeError('x is not a function') }, 'task failed')
    expect(lines[0]).toMatch(/^ERROR cannot start error="port 5000 is taken" code=PORT_IN_USE hint="Stop the program[^\n]*\n$/)
    expect(lines[1]).toMatch(/^ERROR task failed error="x is not a function"\nTypeError: x is not a function\n {4}at /)
  })

  it('is JSON on request, with secrets redacted', () => {
    const { log, lines } = capture({ format: 'json' })
    log.info({ request: { authorization: 'Bearer x', path: '/' } }, 'seen')
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: 'info',
      msg: 'seen',
      request: { authorization: '[redacted]', path: '/' },
    })
  })

  it.each([
    { task: 'tasks.echo', id: 'a-1', runtimeMs: 12 },
    { text: 'a "b" c=d', empty: '', rate: 0.5, missing: undefined },
    { text: 'line\nbreak \u0000 é\ud800' },
    {},
  ])('with the fields %j is the same whether or not it is rendered by way of JSON', (fields) => {
    const plain = renderPlain(fields, 'said', false)
    expect(plain).toBe(renderText(JSON.stringify({ level: 'info', time: 0, ...fields, msg: 'said' }), false))
  })

  it.each([
    { list: [1] },
    { err: new Error('x') },
    { cookie: 'secret' },
    { authorization: 'secret' },
    { request: { cookie: 'secret' } },
    { level: 'x' },
    { value: Number.NaN },
  ])('with the fields %j is rendered by way of JSON, because a field is not plain', (fields) => {
    expect(renderPlain(fields, 'said', false)).toBeUndefined()
  })

  it('has the fields of its child logger, with secrets redacted', () => {
    const { log, lines } = capture()
    log.info({ cookie: 'secret' }, 'seen')
    log.child({ id: 'a' }).info({ task: 'b' }, 'seen')
    expect(lines).toEqual(['seen cookie=[redacted]\n', 'seen id=a task=b\n'])
  })

  it('is not written if its level is below the level of the log', () => {
    const { log, lines } = capture({ level: 'warn' })
    log.info('quiet')
    expect(lines).toEqual([])
  })
})

describe('maskUrl()', () => {
  it.each([
    ['postgres://u:secret@h:5/d', 'postgres://u:***@h:5/d'],
    ['postgres://u@h/d?password=secret&x=1', 'postgres://u@h/d?password=***&x=1'],
    ['secret', '(not a URL)'],
    ['amqp://u:secret@a/;amqp://u:secret@b/', 'amqp://u:***@a/;amqp://u:***@b/'],
    ['amqp://u:secret@a,amqp://u:secret@b:1/v', 'amqp://u:***@a,amqp://u:***@b:1/v'],
    ['postgresql://u:secret@a,v:secret@b/d', 'postgresql://u:***@b/d'],
    ['redis://:sec@ret@h/0', 'redis://:***@h/0'],
    ['redis://u:sec/ret@h/0', 'redis://u:***@h/0'],
    ['sentinel://:secret@a;sentinel://b/0?sentinel_password=secret', 'sentinel://:***@a;sentinel://b/0?sentinel_password=***'],
    ['redis://h:6379/0', 'redis://h:6379/0'],
    ['postgresql://user@/db?host=/run/x', 'postgresql://user@/db?host=/run/x'],
  ])('turns %s into %s', (url, masked) => expect(maskUrl(url)).toBe(masked))
})

describe('an error in a line of text', () => {
  it.each([
    [{ message: 'cannot reach amqp://u:secret@a;amqp://u:secret@b', hint: 'try again' }],
    [{ message: 'cannot reach redis://:secret@a', stack: 'Error: redis://:secret@a and redis://:secret@b\n    at x' }],
  ])('does not contain the password of a URL: %j', (err) => {
    const line = JSON.stringify({ level: 'error', msg: 'failed', err })
    expect(renderText(line, false)).toContain('***')
    expect(renderText(line, false)).not.toContain('secret')
  })
})

describe('an error in a line of JSON', () => {
  it('does not contain the password of a URL in its message, stack and properties', () => {
    const lines: string[] = []
    const log = createLog({ level: 'info', format: 'json' }, { write: (line) => void lines.push(line) })
    const err = Object.assign(new TypeError('Invalid URL amqp://u:secret@a'), {
      input: 'amqp://u:secret@a;amqp://u:secret@b',
      n: 1,
    })
    log.error({ err }, 'failed')
    expect(lines.join()).not.toContain('secret')
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      err: { type: 'TypeError', message: 'Invalid URL amqp://u:***@a', input: 'amqp://u:***@a;amqp://u:***@b', n: 1 },
    })
  })
})
