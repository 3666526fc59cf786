import { describe, expect, test } from 'vitest'
import type { LifeEvent } from '../../supervisor/format.ts'
import { createFormat, type FormatOptions, platformStamps, wantsColour } from '../../supervisor/formats.ts'

const now = new Date(2026, 10, 22, 20, 43, 57, 123).getTime()
const base: FormatOptions = {
  format: 'auto',
  names: ['web.1', 'celery_beat.1'],
  tty: false,
  colour: false,
  stamped: false,
  prefix: true,
  now: () => now,
}

/** What a format makes of lines (or an event), as text. */
function render(options: Partial<FormatOptions>, what: string | LifeEvent, name = 'web.1'): string {
  const format = createFormat({ ...base, ...options })
  let bytes = ''
  const add = (more: string) => {
    bytes += more
  }
  if (typeof what === 'string') format.write(name, Buffer.from(what).toString('latin1'), add)
  else format.say(what, add)
  return Buffer.from(bytes, 'latin1').toString()
}

const started: LifeEvent = { tag: 'started', name: 'web.1', pid: 5 }
const killed: LifeEvent = { tag: 'stopped', name: 'web.1', exit: { signal: 'SIGTERM' } }

describe('text', () => {
  const table: [name: string, options: Partial<FormatOptions>, what: string | LifeEvent, text: string][] = [
    ['auto has time and name', {}, 'a\nb', '20:43:57 web.1         | a\n20:43:57 web.1         | b\n'],
    ['auto has no time where the platform stamps', { stamped: true }, 'a', 'web.1         | a\n'],
    ['auto on a terminal has colour', { tty: true, colour: true }, 'a', '\x1b[0m\x1b[36m20:43:57 web.1         | \x1b[0ma\n'],
    ['the supervisor itself has none', { tty: true, colour: true }, started, '20:43:57 system        | web.1 started (pid=5)\n'],
    [
      'honcho tells a death by signal as Python does',
      { format: 'honcho' },
      killed,
      '20:43:57 system        | web.1 stopped (rc=-15)\n',
    ],
    ['honcho stamps on a platform, too', { format: 'honcho', stamped: true }, 'a', '20:43:57 web.1         | a\n'],
    [
      'honcho-0.5 has colour everywhere',
      { format: 'honcho-0.5' },
      started,
      '\x1b[36m20:43:57 web.1         | \x1b[0mstarted with pid 5\n',
    ],
    ['none is the text alone', { format: 'none' }, 'a\nb', 'a\nb\n'],
    ['--no-prefix is, too, for the supervisor as well', { prefix: false, format: 'honcho' }, started, 'web.1 started (pid=5)\n'],
    [
      'a template has what it names',
      { format: '[{type}/{index}] {iso} <{text}>' },
      'a\nb',
      `[web/1] ${new Date(now).toISOString()} <a>\n[web/1] ${new Date(now).toISOString()} <b>\n`,
    ],
    ['a template may have a $ and other letters', { format: '$& é$1 {text} $$' }, 'a\nb', '$& é$1 a $$\n$& é$1 b $$\n'],
    ['empty lines are lines', { format: 'none' }, '\n', '\n\n'],
    ['what a child colours stays', {}, '\x1b[31mred', '20:43:57 web.1         | \x1b[31mred\n'],
  ]
  test.each(table)('%s', (_name, options, what, text) => {
    expect(render(options, what)).toBe(text)
  })

  test('each process has its own colour', () => {
    expect(render({ tty: true, colour: true }, 'a', 'celery_beat.1')).toContain('\x1b[33m')
  })

  test('the prefix grows for a process that comes later', () => {
    const format = createFormat({ ...base, names: ['a.1'], format: '{name}|{text}' })
    let text = ''
    const add = (more: string) => {
      text += more
    }
    format.write('a.1', 'x', add)
    format.widen('postgres')
    format.write('a.1', 'x', add)
    expect(text).toBe('a.1   |x\na.1     |x\n')
  })

  test('the line and its prefix fit into what the platform takes', () => {
    const format = createFormat({ ...base, stamped: true })
    expect(format.room('web.1') + 'web.1         | '.length).toBe(10_000)
  })
})

const pino = JSON.stringify({
  level: 50,
  time: now,
  pid: 1,
  hostname: 'h',
  msg: 'failed',
  user: 'a b',
  err: { stack: 'Error: x\n    at y' },
})

describe('records', () => {
  test('on a terminal a record is written out for people', () => {
    expect(render({ tty: true, format: 'auto' }, pino)).toBe(
      '20:43:57 web.1         | ERROR failed user="a b"\n20:43:57 web.1         |     Error: x\n20:43:57 web.1         |         at y\n',
    )
  })

  test('elsewhere it is left as it is', () => {
    expect(render({ stamped: true }, pino)).toBe(`web.1         | ${pino}\n`)
  })

  test('what only looks like a record is left as it is', () => {
    for (const line of ['{"a": 1}', '{"level": 30, "msg": ', '{}', '{"level":30,"msg":5}']) {
      expect(render({ tty: true }, line)).toBe(`20:43:57 web.1         | ${line}\n`)
    }
  })

  test('under json a record is merged, its level named', () => {
    expect(JSON.parse(render({ format: 'json' }, pino))).toEqual({
      time: new Date(now).toISOString(),
      process: 'web.1',
      level: 'error',
      message: 'failed',
      pid: 1,
      hostname: 'h',
      user: 'a b',
      err: { stack: 'Error: x\n    at y' },
    })
  })

  test.each([
    ['a message that is no text', '{"level":30,"msg":{"x":1}}', { level: 'info', msg: { x: 1 } }],
    ['both names of a level', '{"level":"info","severity":"NOTICE"}', { level: 'info', severity: 'NOTICE' }],
    ['both names of a message', '{"msg":"a","message":"b"}', { message: 'a', message_: 'b' }],
    ['a field named like one of ours', '{"msg":"a","process":"x"}', { message: 'a', process_: 'x' }],
    ['the event of structlog, once', '{"level":"info","event":"a"}', { level: 'info', message: 'a' }],
    ['a time that is none', '{"time":{}}', { time_: {} }],
  ])('under json nothing of a record is lost: %s', (_name, line, fields) => {
    const { time, process, ...rest } = JSON.parse(render({ format: 'json' }, line))
    expect([time, process, rest]).toEqual([new Date(now).toISOString(), 'web.1', fields])
  })

  test.each([
    ['json', '"id":12345678901234567890'],
    ['logfmt', 'id=12345678901234567890'],
  ])('a number of many digits keeps them under %s', (format, field) => {
    expect(render({ format }, '{"id":12345678901234567890,"msg":"m"}')).toContain(field)
  })

  test('on a terminal what the message has for fields is said once', () => {
    const line = '{"severity":"WARNING","event":"a","err":"b"}'
    expect(render({ tty: true, prefix: false }, line)).toBe('WARNING a err=b\n')
  })

  test('on a terminal the text of a record may have colours, but moves no cursor', () => {
    expect(
      render({ tty: true, prefix: false }, '{"level":30,"msg":"\\u001b[32mgreen\\u001b[0m\\r\\u001b[2Jgone\\n\\u009b"}'),
    ).toBe('INFO  \x1b[32mgreen\x1b[0m\\r\\u001b[2Jgone\\n\\u009b\n')
  })

  test('under json any other line is a message', () => {
    const lines = render({ format: 'json' }, 'é "x"\n{"half')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map((line) => [line.process, line.message])).toEqual([
      ['web.1', 'é "x"'],
      ['web.1', '{"half'],
    ])
  })

  test('under json what happens to a process has fields', () => {
    expect(JSON.parse(render({ format: 'json' }, killed))).toMatchObject({
      process: 'system',
      message: 'process stopped',
      name: 'web.1',
      code: 143,
      signal: 'SIGTERM',
    })
  })

  test('a record that escaping makes too long is cut in two', () => {
    const lines = render({ format: 'json' }, '\x01'.repeat(5_000)).trim().split('\n')
    expect(lines.length).toBeGreaterThan(2)
    for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(10_000)
    expect(
      lines
        .map((line) => JSON.parse(line).message)
        .join('')
        .replaceAll('…', ''),
    ).toBe('\x01'.repeat(5_000))
  })

  test('logfmt quotes what needs it', () => {
    expect(render({ format: 'logfmt' }, 'a b=c')).toBe(`time=${new Date(now).toISOString()} process=web.1 message="a b=c"\n`)
    expect(render({ format: 'logfmt' }, pino)).toContain('level=error message=failed')
    expect(render({ format: 'logfmt' }, '{"level":30,"msg":"m","o":{"a":1}}')).toContain('o="{\\"a\\":1}"')
  })
})

test('colours are for terminals without NO_COLOR', () => {
  const tty = { isTTY: true }
  expect(wantsColour(tty, {})).toBe(true)
  expect(wantsColour({}, {})).toBe(false)
  expect(wantsColour(tty, { NO_COLOR: '1' })).toBe(false)
  expect(wantsColour(tty, { NO_COLOR: '' })).toBe(true)
  expect(wantsColour(tty, { TERM: 'dumb' })).toBe(false)
})

test('a platform that stamps is known by its variables', () => {
  expect([
    platformStamps({}),
    platformStamps({ DYNO: 'web.1' }),
    platformStamps({ DYNO: '' }),
    platformStamps({ KUBERNETES_SERVICE_HOST: '10.0.0.1' }),
  ]).toEqual([false, true, false, true])
})
