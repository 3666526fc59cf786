/** Generates random crontab fields together with their values, so that tests need not parse the text. */
import fc from 'fast-check'
import type { OracleFields } from './oracle.ts'

type Field = { text: string; values: number[] }

const NAMES: Record<string, string[]> = {
  weekday: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
  month: ['', 'jan', 'february', 'mar', 'apr', 'may', 'june', 'jul', 'aug', 'sep', 'oct', 'nov', 'december'],
}

const span = (from: number, to: number, min: number, max: number): number[] => {
  const size = max - min + 1
  return Array.from({ length: ((((to - from) % size) + size) % size) + 1 }, (_, index) => min + ((from - min + index) % size))
}

const part = (min: number, max: number, names?: string[]): fc.Arbitrary<Field> => {
  const value = fc.integer({ min, max })
  const spell = (n: number, named: boolean): string => (named && names !== undefined ? names[n]! : String(n))
  const single = fc.tuple(value, fc.boolean()).map(([n, named]) => ({ text: spell(n, named), values: [n] }))
  const range = fc
    .tuple(value, value, fc.boolean(), fc.option(fc.integer({ min: 1, max: max - min + 1 })))
    .map(([a, b, named, step]) => ({
      text: `${spell(a, named)}-${spell(b, named)}${step === null ? '' : `/${step}`}`,
      values: span(a, b, min, max).filter((_, index) => index % (step ?? 1) === 0),
    }))
  const every = fc
    .integer({ min: 1, max: max - min + 1 })
    .map((step) => ({ text: `*/${step}`, values: span(min, max, min, max).filter((_, index) => index % step === 0) }))
  return fc.oneof({ weight: 4, arbitrary: single }, { weight: 2, arbitrary: range }, { weight: 1, arbitrary: every })
}

const field = (min: number, max: number, starWeight: number, names?: string[]): fc.Arbitrary<Field> =>
  fc.oneof(
    { weight: starWeight, arbitrary: fc.constant({ text: '*', values: span(min, max, min, max) }) },
    {
      weight: 4,
      arbitrary: fc.array(part(min, max, names), { minLength: 1, maxLength: 3 }).map((parts) => ({
        text: parts.map(({ text }) => text).join(','),
        values: parts.flatMap(({ values }) => values),
      })),
    },
  )

export type ArbitraryCrontab = {
  texts: { minute: string; hour: string; dayOfWeek: string; dayOfMonth: string; monthOfYear: string }
  fields: OracleFields
}

export const arbitraryCrontab: fc.Arbitrary<ArbitraryCrontab> = fc
  .record({
    minute: field(0, 59, 1),
    hour: field(0, 23, 2),
    dayOfWeek: field(0, 6, 6, NAMES.weekday),
    dayOfMonth: field(1, 31, 8),
    last: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    monthOfYear: field(1, 12, 9, NAMES.month),
    dayRule: fc.constantFrom('and' as const, 'or' as const),
  })
  .map(({ minute, hour, dayOfWeek, dayOfMonth, last, monthOfYear, dayRule }) => ({
    texts: {
      minute: minute.text,
      hour: hour.text,
      dayOfWeek: dayOfWeek.text,
      dayOfMonth: last ? `${dayOfMonth.text},L` : dayOfMonth.text,
      monthOfYear: monthOfYear.text,
    },
    fields: {
      minute: new Set(minute.values),
      hour: new Set(hour.values),
      dayOfWeek: new Set(dayOfWeek.values),
      dayOfMonth: new Set(dayOfMonth.values),
      last,
      monthOfYear: new Set(monthOfYear.values),
      dayRule,
    },
  }))
  // Leaves out dates that never come, because createCrontab refuses them.
  .filter(({ fields }) => fields.last || [...fields.dayOfMonth].some((day) => day <= 28))
