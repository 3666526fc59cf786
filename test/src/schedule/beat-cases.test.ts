import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fromColumns } from '../../../src/schedule/columns.ts'
import { type DueRow, planNext } from '../../../src/schedule/decide.ts'
import { nextTick } from '../../../src/schedule/schedule.ts'

type Case = {
  schedule: { type: string; start_time?: string; expires?: string; clocked_time?: string } & Record<string, string | number>
  tz: string
  after: string
  expected: string[]
  source: string
}

const cases: Case[] = JSON.parse(readFileSync(new URL('../../fixtures/cases/beat-cases.json', import.meta.url), 'utf8'))

const date = (text: string | undefined): Date | null => (text === undefined ? null : new Date(text))

const rowOf = ({ schedule: { type, start_time, expires, ...columns }, tz }: Case): Omit<DueRow, 'nextRunAt'> => ({
  id: '00000000-0000-4000-8000-000000000001',
  schedule: fromColumns({ day_rule: 'and', timezone: tz, ...columns, kind: type }),
  startTime: date(start_time),
  expires: date(expires),
  oneOff: false,
  catchup: 'one',
  catchupLimit: 100,
  misfireGraceMs: null,
})

/** Computes the list from `after`, one tick at a time: a scheduler keeps only the last tick. */
const ticksFrom = (row: Omit<DueRow, 'nextRunAt'>, after: Date, count: number): string[] => {
  const ticks: string[] = []
  let tick: Date | null = planNext(row, after)
  for (; tick !== null && ticks.length < count; tick = planNext(row, tick)) ticks.push(tick.toISOString())
  return ticks
}

const iso = (texts: readonly string[]): string[] => texts.map((text) => new Date(text).toISOString())

describe('the cases of beat-cases.json, computed by brute force in Python', () => {
  test('are at least 91', () => {
    expect(cases.length).toBeGreaterThanOrEqual(91)
  })

  test.each(cases.map((one, index) => [`${index}: ${JSON.stringify(one.schedule)} ${one.tz} after ${one.after}`, one] as const))(
    'have the ticks that onedyno computes: case %s',
    (_, one) => {
      const row = rowOf(one)
      const expected = iso(one.expected)
      const after = new Date(one.after)
      expect(ticksFrom(row, after, expected.length)).toEqual(expected)
      for (const [index, tick] of expected.entries()) {
        const rest = expected.slice(index + 1)
        expect(ticksFrom(row, new Date(tick), rest.length)).toEqual(rest)
        expect(nextTick(row.schedule, new Date(Date.parse(tick) - 1))?.toISOString()).toBe(tick)
        if (rest[0] !== undefined) expect(nextTick(row.schedule, new Date(Date.parse(tick) + 1))?.toISOString()).toBe(rest[0])
      }
    },
  )

  test('have no tick after their schedule expires', () => {
    const ending = cases.filter(({ schedule }) => schedule.expires !== undefined)
    expect(ending).not.toHaveLength(0)
    for (const one of ending) expect(planNext(rowOf(one), new Date(one.expected.at(-1)!))).toBeNull()
  })
})
