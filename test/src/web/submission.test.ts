import { describe, expect, test } from 'vitest'
import { createRegistry } from '../../../src/app/app.ts'
import { parseConfig } from '../../../src/config.ts'
import { silentLog } from '../../../src/log.ts'
import { registerShippedTasks } from '../../../src/tasks/shipped.ts'
import { readFormFields } from '../../../src/web/form-fields.ts'
import { FIELDS, readSubmission } from '../../../src/web/submission.ts'

const app = createRegistry(() => Promise.reject(new Error('nothing is sent here')))
registerShippedTasks(app, { config: parseConfig({}), log: silentLog(), results: { cleanUp: async () => 0 } })
const now = new Date('2026-11-22T18:00:00Z')
const read = (fields: Partial<Record<'task' | 'args' | 'schedule', string>>) =>
  readSubmission(
    { task: 'tasks.echo', args: '["hi"]', schedule: '', repeated: [], ...fields },
    { app, timezone: 'Europe/Berlin', now },
  )

describe('the arguments of a submission', () => {
  test.each([
    ['are read from a list', '["hi"]', ['hi']],
    ['are read from a list with blanks and line ends', ' [\n 1 ]\n', [1]],
    ['are read from a list with a nested value', '[{"a": [null, true]}]', [{ a: [null, true] }]],
    ['are read unchanged from a list with a text that looks like markup', '["<b>"]', ['<b>']],
  ])('%s', (_what, args, value) => {
    expect(read({ args })).toMatchObject({ submission: { args: value }, problems: [] })
  })

  test('are an empty list if the field is empty', () => {
    expect(read({ task: 'onedyno.clean_up', args: ' ' })).toMatchObject({ submission: { args: [] } })
  })

  test.each([
    ['a plain word', 'hello', /not JSON/, ['["hello"]']],
    ['an address without quotes', 'https://example.org/', /not JSON/, ['["https://example.org/"]']],
    ['a list with single quotes', "['hi']", /double quotes/, []],
    ['a broken list', '["hi"', /not JSON/, []],
    ['a JSON string', '"hi"', /JSON array/, ['["hi"]']],
    ['a number', '5', /JSON array/, ['[5]']],
    ['an object', '{"a":1}', /JSON array/, ['[{"a":1}]']],
    ['null', 'null', /JSON array/, ['[null]']],
    ['a value that is nested too deeply', `${'['.repeat(5000)}${']'.repeat(5000)}`, /200 levels deep/, []],
  ])('are refused with the reason and any likely correction if they are %s', (_what, args, message, suggestions) => {
    const { submission, problems } = read({ args })
    expect(submission).toBeUndefined()
    expect(problems).toEqual([expect.objectContaining({ field: 'args', message: expect.stringMatching(message) })])
    expect(problems[0]!.suggestions.map(({ text }) => text)).toEqual(suggestions)
  })

  test.each([
    ['too few', '[]', /takes 1 argument, not 0: tasks.fetch_url\(url\)/],
    ['too many', '["http://a/", 2]', /takes 1 argument, not 2/],
  ])('are refused with the signature of the task if they are %s', (_what, args, message) => {
    expect(read({ task: 'tasks.fetch_url', args }).problems[0]!.message).toMatch(message)
  })

  test('are refused with the name of the parameter if a value has the wrong type', () => {
    expect(read({ task: 'tasks.fetch_url', args: '[5]' }).problems[0]!.message).toMatch(/url must be string, not 5/)
  })
})

describe('the task of a submission', () => {
  test.each(['os.system', 'constructor', '__proto__', 'toString', 'TASKS.ECHO'])(
    'is refused as unknown if its name is %s',
    (task) => {
      expect(read({ task }).problems).toEqual([expect.objectContaining({ field: 'task', code: 'TASK_UNKNOWN' })])
    },
  )

  test('is required', () => {
    expect(read({ task: '' }).problems[0]!.message).toBe('Choose a task.')
  })
})

describe('the schedule of a submission', () => {
  test('is read in the time zone of the configuration', () => {
    expect(read({ schedule: '0 9 * * 1-5' }).submission?.schedule).toMatchObject({ kind: 'crontab', timezone: 'Europe/Berlin' })
  })

  test('is an interval that counts from the time of the submission', () => {
    expect(read({ schedule: '15 minutes' }).submission?.schedule).toMatchObject({ kind: 'interval', every: 15, anchor: now })
  })

  test('is refused if it is ambiguous, and both readings are offered in words', () => {
    const [problem] = read({ schedule: '0 9 1' }).problems
    expect(problem).toMatchObject({ field: 'schedule', code: 'SCHEDULE_INVALID' })
    expect(problem!.suggestions).toEqual([
      { text: '0 9 * * 1', words: expect.stringContaining('Monday') },
      { text: '0 9 1 * *', words: expect.stringContaining('1st of every month') },
    ])
  })

  test('is accepted if it is one of the suggestions', () => {
    for (const schedule of ['0 9 1', '90s', '@midnight', '9:30', '5 min']) {
      const [problem] = read({ schedule }).problems
      expect(problem!.suggestions.length, schedule).toBeGreaterThan(0)
      for (const { text } of problem!.suggestions) expect(read({ schedule: text }).problems, text).toEqual([])
    }
  })

  test.each(['; rm -rf / #', '0 seconds', '-5 minutes', '61 *', '1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1! *', 'x'.repeat(5000)])(
    'is refused if it is %s',
    (schedule) => {
      expect(read({ schedule }).problems).toEqual([expect.objectContaining({ field: 'schedule' })])
    },
  )
})

test('a submission reports all its problems at once, in the order of the form', () => {
  expect(read({ task: 'nope', args: 'x', schedule: 'never' }).problems.map(({ field }) => field)).toEqual([
    'task',
    'args',
    'schedule',
  ])
})

describe('the fields of a form', () => {
  test('are read by name with LF line ends, and other names are ignored', () => {
    const fields = readFormFields(new URLSearchParams('args=%5B%0D%0A%5D&__proto__%5Bx%5D=1&constructor=2&task=t'), FIELDS)
    expect(fields).toEqual({ task: 't', args: '[\n]', schedule: '', repeated: [] })
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  })

  test('are refused with their name if they are sent twice', () => {
    const fields = readFormFields(new URLSearchParams('task=tasks.echo&task=tasks.fetch_url&args=%5B1%5D'), FIELDS)
    expect(fields.repeated).toEqual(['task'])
    expect(readSubmission(fields, { app, timezone: 'UTC', now }).problems).toEqual([
      expect.objectContaining({ field: 'task', message: expect.stringContaining('twice') }),
    ])
  })

  test('are empty if the body is not a form', () => {
    expect(readFormFields({ task: 'x' }, FIELDS)).toMatchObject({ task: '' })
  })
})
