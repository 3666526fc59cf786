import { describe, expect, it, vi } from 'vitest'
import type { LogRow, ProgressRow } from '../../../../src/database/task-reports.ts'
import { createLog } from '../../../../src/log.ts'
import { createMessage } from '../../../../src/message/message.ts'
import { createReporter } from '../../../../src/worker/attempt/run-report.ts'

function begin() {
  const written: { progress: ProgressRow[]; logs: LogRow[] } = { progress: [], logs: [] }
  const reports = {
    progress: async (row: ProgressRow) => void written.progress.push(row),
    log: async (rows: readonly LogRow[]) => void written.logs.push(...rows),
    lines: async () => [],
  }
  const log = createLog({ level: 'info', format: 'json' }, { write() {} })
  const report = createReporter(reports, log).begin(createMessage({ id: 'a', task: 'tasks.slow', args: [] }))
  return { report, written }
}

describe('the report of a run', () => {
  it.each<[string, unknown[], { message: string; fields: string | null }]>([
    ['a string', ['hello'], { message: 'hello', fields: null }],
    ['a format string with values', ['%s of %d', 'a', 7], { message: 'a of 7', fields: null }],
    ['fields and a string', [{ pages: 3 }, 'fetched'], { message: 'fetched', fields: '{"pages":3}' }],
    ['an error', [new RangeError('boom')], { message: 'boom', fields: expect.stringContaining('RangeError') as never }],
    ['a bigint', [{ n: 7n }, 'x'], { message: 'x', fields: '{"n":"7"}' }],
    ['a NUL and a lone surrogate', ['a\0b\ud800'], { message: 'a\uFFFDb\uFFFD', fields: null }],
  ])('stores %s as a log line', (_name, args, line) => {
    const { report } = begin()
    ;(report.log.info as (...given: unknown[]) => void)(...args)
    expect(report.end()?.logs).toEqual([{ level: 30, at: expect.any(Number), ...line }])
  })

  it('stores lines of child loggers, but no lines below the level of the log', () => {
    const { report } = begin()
    report.log.child({ part: 1 }).warn('careful')
    report.log.debug('noise')
    expect(report.end()?.logs.map(({ level, message }) => [level, message])).toEqual([[40, 'careful']])
  })

  it('is undefined for a run without log lines and progress', () => {
    expect(begin().report.end()).toBeUndefined()
  })

  it('stores valid JSON for long fields, and ignores circular fields', () => {
    const { report } = begin()
    const circle: Record<string, unknown> = {}
    circle.self = circle
    report.log.info(circle, 'round')
    report.log.info({ text: 'x'.repeat(20_000) }, 'long')
    const [round, long] = report.end()?.logs ?? []
    expect(round).toMatchObject({ message: 'round', fields: null })
    expect(JSON.parse(long?.fields ?? '')).toEqual({ cut: expect.stringMatching(/^\{"text":"x{4000}/) })
  })

  it('stores at most 500 lines, and one more line that reports the limit', () => {
    const { report } = begin()
    for (let n = 0; n < 600; n++) report.log.info(`line ${n}`)
    const logs = report.end()?.logs ?? []
    expect(logs).toHaveLength(501)
    expect(logs.at(-1)?.message).toContain('more than 500 lines')
  })

  it('stores the latest progress every half second while the task runs, and not again with the outcome', async () => {
    vi.useFakeTimers()
    try {
      const { report, written } = begin()
      report.progress(1, 10)
      report.progress(2, 10, 'second')
      report.log.info('hello')
      await vi.advanceTimersByTimeAsync(500)
      expect(written.progress.map(({ progress }) => progress)).toEqual(['{"n":2,"of":10,"note":"second"}'])
      expect(written.logs).toMatchObject([{ id: 'a', retries: 0, message: 'hello' }])
      report.progress(10, 10)
      expect(report.end()).toEqual({ logs: [], progress: '{"n":10,"of":10}' })
      report.log.info('too late')
      await vi.advanceTimersByTimeAsync(1000)
      expect(written.logs).toHaveLength(1)
    } finally {
      vi.useRealTimers()
    }
  })
})
