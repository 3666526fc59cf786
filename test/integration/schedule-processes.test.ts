import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** Evaluates code in a new process, because TZ is read at start and modules are loaded once. */
const evaluate = async (code: string, timezone: string): Promise<unknown> => {
  const folder = new URL('../../src/schedule/', import.meta.url).href
  const source = `
    const { nextTicks } = await import('${folder}schedule.ts')
    const { parseSchedule } = await import('${folder}parse.ts')
    const { describeSchedule } = await import('${folder}describe.ts')
    const loaded = () => Object.keys(process.getBuiltinModule('node:module').createRequire('${folder}').cache).filter((file) => file.includes('cron-parser')).length > 0
    console.log(JSON.stringify(${code}))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', source], {
    env: { ...process.env, TZ: timezone, NODE_NO_WARNINGS: '1' },
  })
  return JSON.parse(stdout)
}

const TICKS = `['*/15 2 * * * America/New_York', '0 0 L * *', '0 9 * * 1'].flatMap((text) =>
  nextTicks(parseSchedule(text, { timezone: 'UTC', now: new Date(0) }), new Date('2026-03-08T05:00:00Z'), 6))`

test('a schedule has the same ticks in every time zone of the host', async () => {
  const [utc, apia, chatham] = await Promise.all(
    ['UTC', 'Pacific/Apia', 'Pacific/Chatham'].map((timezone) => evaluate(TICKS, timezone)),
  )
  expect(utc).toHaveLength(18)
  expect(apia).toEqual(utc)
  expect(chatham).toEqual(utc)
})

test('a process loads cron-parser only when it evaluates a crontab', async () => {
  const parse = (text: string): string => `parseSchedule('${text}', { timezone: 'UTC', now: new Date(0) })`
  const interval = `[nextTicks(${parse('15 minutes')}, new Date(0), 3).length, describeSchedule(${parse('0 9 * * 1')}), loaded()]`
  expect(await evaluate(interval, 'UTC')).toEqual([3, 'at 09:00 on Monday (UTC)', false])
  expect(await evaluate(`[nextTicks(${parse('0 9')}, new Date(0), 3).length, loaded()]`, 'UTC')).toEqual([3, true])
})
