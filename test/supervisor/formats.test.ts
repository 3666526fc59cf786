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

describe('the output of lines of text', () => {
  const table: [name: string, options: Partial<FormatOptions>, what: string | LifeEvent, text: string][] = [
    ['auto shows time and name', {}, 'a\nb', '20:43:57 web.1         | a\n20:43:57 web.1         | b\n'],
    ['auto shows no time if the platform adds one', { stamped: true }, 'a', 'web.1         | a\n'],
    [
      'auto colours the prefix on a terminal',
      { tty: true, colour: true },
      'a',
      '\x1b[0m\x1b[36m20:43:57 web.1         | \x1b[0ma\n',
    ],
    [
      'lines of the supervisor have no colour',
      { tty: true, colour: true },
      started,
      '20:43:57 system        | web.1 started (pid=5)\n',
    ],
    [
      'honcho shows a death by signal as a negative return code',
      { format: 'honcho' },
      killed,
      '20:43:57 system        | web.1 stopped (rc=-15)\n',
    ],
    ['honcho shows the time also on a platform', { format: 'honcho', stamped: true }, 'a', '20:43:57 web.1         | a\n'],
    [
      'honcho-0.5 always colours the prefix',
      { format: 'honcho-0.5' },
      started,
      '\x1b[36m20:43:57 web.1         | \x1b[0mstarted with pid 5\n',
    ],
    ['none shows only the text', { format: 'none' }, 'a\nb', 'a\nb\n'],
    [
      '--no-prefix shows only the text, also for lines of the supervisor',
      { prefix: false, format: 'honcho' },
      started,
      'web.1 started (pid=5)\n',
    ],
    [
      'a template shows the fields that it contains',
      { format: '[{type}/{index}] {iso} <{text}>' },
      'a\nb',
      `[web/1] ${new Date(now).toISOString()} <a>\n[web/1] ${new Date(now).toISOString()} <b>\n`,
    ],
    ['a template may contain $ and non-ASCII letters', { format: '$& é$1 {text} $$' }, 'a\nb', '$& é$1 a $$\n$& é$1 b $$\n'],
    ['keeps empty lines', { format: 'none' }, '\n', '\n\n'],
    ['keeps the colours of a child', {}, '\x1b[31mred', '20:43:57 web.1         | \x1b[31mred\n'],
  ]
  test.each(table)('%s', (_name, options, what, text) => {
    expect(render(options, what)).toBe(text)
  })

  test('gives each process its own colour', () => {
    expect(render({ tty: true, colour: true }, 'a', 'celery_beat.1')).toContain('\x1b[33m')
  })

  test('widens the prefix for a process that is added later', () => {
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

  test('limits line and prefix together to the line length of the platform', () => {
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

describe('the output of JSON records', () => {
  test('renders a record as text on a terminal', () => {
    expect(render({ tty: true, format: 'auto' }, pino)).toBe(
      '20:43:57 web.1         | ERROR failed user="a b"\n20:43:57 web.1         |     Error: x\n20:43:57 web.1         |         at y\n',
    )
  })

  test('leaves a record unchanged without a terminal', () => {
    expect(render({ stamped: true }, pino)).toBe(`web.1         | ${pino}\n`)
  })

  test('leaves a line unchanged that only looks like a record', () => {
    for (const line of ['{"a": 1}', '{"level": 30, "msg": ', '{}', '{"level":30,"msg":5}']) {
      expect(render({ tty: true }, line)).toBe(`20:43:57 web.1         | ${line}\n`)
    }
  })

  test('json merges the fields of a record and names its level', () => {
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
    ['a message that is no string', '{"level":30,"msg":{"x":1}}', { level: 'info', msg: { x: 1 } }],
    ['two fields for the level', '{"level":"info","severity":"NOTICE"}', { level: 'info', severity: 'NOTICE' }],
    ['two fields for the message', '{"msg":"a","message":"b"}', { message: 'a', message_: 'b' }],
    ['a field whose name the format uses itself', '{"msg":"a","process":"x"}', { message: 'a', process_: 'x' }],
    ['the event field of structlog', '{"level":"info","event":"a"}', { level: 'info', message: 'a' }],
    ['an invalid time', '{"time":{}}', { time_: {} }],
  ])('json loses no field of a record: %s', (_name, line, fields) => {
    const { time, process, ...rest } = JSON.parse(render({ format: 'json' }, line))
    expect([time, process, rest]).toEqual([new Date(now).toISOString(), 'web.1', fields])
  })

  test.each([
    ['json', '"id":12345678901234567890'],
    ['logfmt', 'id=12345678901234567890'],
  ])('%s keeps all digits of a large number', (format, field) => {
    expect(render({ format }, '{"id":12345678901234567890,"msg":"m"}')).toContain(field)
  })

  test('shows level and message of a record only once on a terminal', () => {
    const line = '{"severity":"WARNING","event":"a","err":"b"}'
    expect(render({ tty: true, prefix: false }, line)).toBe('WARNING a err=b\n')
  })

  test('keeps colours in a record on a terminal, but escapes other control characters', () => {
    expect(
      render({ tty: true, prefix: false }, '{"level":30,"msg":"\\u001b[32mgreen\\u001b[0m\\r\\u001b[2Jgone\\n\\u009b"}'),
    ).toBe('INFO  \x1b[32mgreen\x1b[0m\\r\\u001b[2Jgone\\n\\u009b\n')
  })

  test('json writes any other line as a message', () => {
    const lines = render({ format: 'json' }, 'é "x"\n{"half')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map((line) => [line.process, line.message])).toEqual([
      ['web.1', 'é "x"'],
      ['web.1', '{"half'],
    ])
  })

  test('json writes process events with fields', () => {
    expect(JSON.parse(render({ format: 'json' }, killed))).toMatchObject({
      process: 'system',
      message: 'process stopped',
      name: 'web.1',
      code: 143,
      signal: 'SIGTERM',
    })
  })

  test('splits a record that escaping makes too long', () => {
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

  test('logfmt quotes values that need quotes', () => {
    expect(render({ format: 'logfmt' }, 'a b=c')).toBe(`time=${new Date(now).toISOString()} process=web.1 message="a b=c"\n`)
    expect(render({ format: 'logfmt' }, pino)).toContain('level=error message=failed')
    expect(render({ format: 'logfmt' }, '{"level":30,"msg":"m","o":{"a":1}}')).toContain('o="{\\"a\\":1}"')
  })
})

test('uses colours on a terminal without NO_COLOR', () => {
  const tty = { isTTY: true }
  expect(wantsColour(tty, {})).toBe(true)
  expect(wantsColour({}, {})).toBe(false)
  expect(wantsColour(tty, { NO_COLOR: '1' })).toBe(false)
  expect(wantsColour(tty, { NO_COLOR: '' })).toBe(true)
  expect(wantsColour(tty, { TERM: 'dumb' })).toBe(false)
})

test('recognises a platform that adds the time by its variables', () => {
  expect([
    platformStamps({}),
    platformStamps({ DYNO: 'web.1' }),
    platformStamps({ DYNO: '' }),
    platformStamps({ KUBERNETES_SERVICE_HOST: '10.0.0.1' }),
  ]).toEqual([false, true, false, true])
})
