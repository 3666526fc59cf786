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

describe('the output of a line of text', () => {
  const table: [name: string, options: Partial<FormatOptions>, what: string | LifeEvent, text: string][] = [
    ['in the format auto shows time and name', {}, 'a\nb', '20:43:57 web.1         | a\n20:43:57 web.1         | b\n'],
    ['in the format auto shows no time if the platform adds the time', { stamped: true }, 'a', 'web.1         | a\n'],
    [
      'in the format auto has a coloured prefix on a terminal',
      { tty: true, colour: true },
      'a',
      '\x1b[0m\x1b[36m20:43:57 web.1         | \x1b[0ma\n',
    ],
    [
      'has no colour if the supervisor wrote the line',
      { tty: true, colour: true },
      started,
      '20:43:57 system        | web.1 started (pid=5)\n',
    ],
    [
      'in the format honcho shows a death by signal as a negative return code',
      { format: 'honcho' },
      killed,
      '20:43:57 system        | web.1 stopped (rc=-15)\n',
    ],
    [
      'in the format honcho shows the time also on a platform',
      { format: 'honcho', stamped: true },
      'a',
      '20:43:57 web.1         | a\n',
    ],
    [
      'in the format honcho-0.5 always has a coloured prefix',
      { format: 'honcho-0.5' },
      started,
      '\x1b[36m20:43:57 web.1         | \x1b[0mstarted with pid 5\n',
    ],
    ['in the format none shows only the text', { format: 'none' }, 'a\nb', 'a\nb\n'],
    [
      'with --no-prefix shows only the text, also for lines of the supervisor',
      { prefix: false, format: 'honcho' },
      started,
      'web.1 started (pid=5)\n',
    ],
    [
      'in the format of a template shows the fields that the template contains',
      { format: '[{type}/{index}] {iso} <{text}>' },
      'a\nb',
      `[web/1] ${new Date(now).toISOString()} <a>\n[web/1] ${new Date(now).toISOString()} <b>\n`,
    ],
    [
      'in the format of a template keeps $ and non-ASCII letters of the template',
      { format: '$& é$1 {text} $$' },
      'a\nb',
      '$& é$1 a $$\n$& é$1 b $$\n',
    ],
    ['is an empty line if the line is empty', { format: 'none' }, '\n', '\n\n'],
    ['keeps the colours of a child', {}, '\x1b[31mred', '20:43:57 web.1         | \x1b[31mred\n'],
  ]
  test.each(table)('%s', (_name, options, what, text) => {
    expect(render(options, what)).toBe(text)
  })

  test('has a colour for each process', () => {
    expect(render({ tty: true, colour: true }, 'a', 'celery_beat.1')).toContain('\x1b[33m')
  })

  test('has a wider prefix after a process with a longer name is added', () => {
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

  test('is at most as long, with its prefix, as the platform allows', () => {
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

describe('the output of a JSON record', () => {
  test('is text on a terminal', () => {
    expect(render({ tty: true, format: 'auto' }, pino)).toBe(
      '20:43:57 web.1         | ERROR failed user="a b"\n20:43:57 web.1         |     Error: x\n20:43:57 web.1         |         at y\n',
    )
  })

  test('is the unchanged record without a terminal', () => {
    expect(render({ stamped: true }, pino)).toBe(`web.1         | ${pino}\n`)
  })

  test('is the unchanged line if the line only looks like a record', () => {
    for (const line of ['{"a": 1}', '{"level": 30, "msg": ', '{}', '{"level":30,"msg":5}']) {
      expect(render({ tty: true }, line)).toBe(`20:43:57 web.1         | ${line}\n`)
    }
  })

  test('in the format json has the merged fields of the record and the name of its level', () => {
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
    ['a message that is not a string', '{"level":30,"msg":{"x":1}}', { level: 'info', msg: { x: 1 } }],
    ['two fields for the level', '{"level":"info","severity":"NOTICE"}', { level: 'info', severity: 'NOTICE' }],
    ['two fields for the message', '{"msg":"a","message":"b"}', { message: 'a', message_: 'b' }],
    ['a field whose name the format uses itself', '{"msg":"a","process":"x"}', { message: 'a', process_: 'x' }],
    ['the event field of structlog', '{"level":"info","event":"a"}', { level: 'info', message: 'a' }],
    ['an invalid time', '{"time":{}}', { time_: {} }],
  ])('in the format json has every field of a record with %s', (_name, line, fields) => {
    const { time, process, ...rest } = JSON.parse(render({ format: 'json' }, line))
    expect([time, process, rest]).toEqual([new Date(now).toISOString(), 'web.1', fields])
  })

  test.each([
    ['json', '"id":12345678901234567890'],
    ['logfmt', 'id=12345678901234567890'],
  ])('in the format %s keeps all digits of a large number', (format, field) => {
    expect(render({ format }, '{"id":12345678901234567890,"msg":"m"}')).toContain(field)
  })

  test('shows level and message only once on a terminal', () => {
    const line = '{"severity":"WARNING","event":"a","err":"b"}'
    expect(render({ tty: true, prefix: false }, line)).toBe('WARNING a err=b\n')
  })

  test('keeps colours on a terminal, but escapes other control characters', () => {
    expect(
      render({ tty: true, prefix: false }, '{"level":30,"msg":"\\u001b[32mgreen\\u001b[0m\\r\\u001b[2Jgone\\n\\u009b"}'),
    ).toBe('INFO  \x1b[32mgreen\x1b[0m\\r\\u001b[2Jgone\\n\\u009b\n')
  })

  test('in the format json has a line that is not a record as its message', () => {
    const lines = render({ format: 'json' }, 'é "x"\n{"half')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map((line) => [line.process, line.message])).toEqual([
      ['web.1', 'é "x"'],
      ['web.1', '{"half'],
    ])
  })

  test('in the format json has the fields of a process event', () => {
    expect(JSON.parse(render({ format: 'json' }, killed))).toMatchObject({
      process: 'system',
      message: 'process stopped',
      name: 'web.1',
      code: 143,
      signal: 'SIGTERM',
    })
  })

  test('is split into several lines if escaping makes it too long', () => {
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

  test('in the format logfmt has quotes around values that need them', () => {
    expect(render({ format: 'logfmt' }, 'a b=c')).toBe(`time=${new Date(now).toISOString()} process=web.1 message="a b=c"\n`)
    expect(render({ format: 'logfmt' }, pino)).toContain('level=error message=failed')
    expect(render({ format: 'logfmt' }, '{"level":30,"msg":"m","o":{"a":1}}')).toContain('o="{\\"a\\":1}"')
  })
})

test('colours are used on a terminal, unless NO_COLOR is set or the terminal is dumb', () => {
  const tty = { isTTY: true }
  expect(wantsColour(tty, {})).toBe(true)
  expect(wantsColour({}, {})).toBe(false)
  expect(wantsColour(tty, { NO_COLOR: '1' })).toBe(false)
  expect(wantsColour(tty, { NO_COLOR: '' })).toBe(true)
  expect(wantsColour(tty, { TERM: 'dumb' })).toBe(false)
})

test('a platform that adds the time to lines is recognised by its environment variables', () => {
  expect([
    platformStamps({}),
    platformStamps({ DYNO: 'web.1' }),
    platformStamps({ DYNO: '' }),
    platformStamps({ KUBERNETES_SERVICE_HOST: '10.0.0.1' }),
  ]).toEqual([false, true, false, true])
})
