/**
 * Converts between wall-clock times and instants, with the offsets of Intl. cron-parser receives no time zone, because it loses,
 * doubles or moves runs around offset changes (docs/internals/schedules.md, "cron-parser").
 */
import { remember } from './bounded-map.ts'
import { ScheduleError } from './schedule-error.ts'

const DAY_MS = 86_400_000
const MAX_FORMATTERS = 32
const OFFSET = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/

const formatters = new Map<string, Intl.DateTimeFormat>()

/** Returns a formatter from a cache of limited size: a new formatter takes about 0.1 ms and 70 kB of memory. */
const formatterOf = (timezone: string): Intl.DateTimeFormat => {
  const known = formatters.get(timezone)
  if (known !== undefined) return known
  const formatter = new Intl.DateTimeFormat('en-US', { timeZone: timezone, timeZoneName: 'longOffset' })
  return remember(formatters, MAX_FORMATTERS, [timezone, formatter])
}

/** Returns the milliseconds between an instant and the wall clock of the zone at this instant. */
export const offsetAt = (timezone: string, atMs: number): number => {
  if (timezone === 'UTC') return 0
  const text = formatterOf(timezone).format(atMs)
  const match = OFFSET.exec(text)
  if (match === null) throw new Error(`Intl returned no offset for ${timezone}: "${text}"`)
  const [, sign, hours = 0, minutes = 0, seconds = 0] = match
  const offset = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000
  return sign === '-' ? -offset : offset
}

/**
 * Returns the instants at which the wall clock of the zone shows `wallMs` (milliseconds as if the wall clock were UTC). Two
 * instants, in order, if the clock is set back. If the clock jumps over `wallMs` (`missing`), the instant that the offset before
 * the gap gives (RFC 5545 §3.3.5, Temporal "compatible").
 */
export const resolveWallClock = (timezone: string, wallMs: number): { first: number; second?: number; missing: boolean } => {
  // No zone is more than 14 h from UTC, so a change that affects this wall-clock time lies within a day of it.
  const before = offsetAt(timezone, wallMs - DAY_MS)
  const after = offsetAt(timezone, wallMs + DAY_MS)
  if (before === after) return { first: wallMs - before, missing: false }
  const early = offsetAt(timezone, wallMs - before) === before
  const late = offsetAt(timezone, wallMs - after) === after
  if (early && late) return { first: wallMs - before, second: wallMs - after, missing: false }
  return { first: late ? wallMs - after : wallMs - before, missing: !early && !late }
}

/** Returns true if Intl has a zone of this name. Offsets such as +05:30 are not zones, because they have no rules. */
export const isTimeZone = (timezone: string): boolean => {
  if (!/^[a-z]/i.test(timezone)) return false // Intl accepts offsets, this function does not
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: timezone })
    return true
  } catch {
    return false
  }
}

const similarZones = (text: string): string[] => {
  const wanted = text.toLowerCase().replaceAll(/[\s-]+/g, '_')
  const city = wanted.slice(wanted.lastIndexOf('/') + 1)
  if (city.length < 3) return []
  return Intl.supportedValuesOf('timeZone')
    .filter((zone) => zone.toLowerCase().includes(city))
    .slice(0, 3)
}

/**
 * Returns the name of a time zone as it is stored: an IANA name or a link such as `US/Eastern`. Case does not matter.
 * @throws ScheduleError for every other text: offsets, `local`, abbreviations that Intl does not have, the empty string
 */
export const checkTimeZone = (text: string): string => {
  if (text === 'UTC') return text
  if (!isTimeZone(text)) {
    const similar = similarZones(text)
    const meant = similar.length > 0 ? ` Did you mean ${similar.join(' or ')}?` : ''
    const reason = /^[+-]|^(?:UTC|GMT)[+-]/i.test(text)
      ? 'an offset has no rules for summer time'
      : 'this host has no such time zone'
    throw new ScheduleError(`timezone "${text}": ${reason}.${meant} Accepted are IANA names, such as UTC or Europe/Berlin.`, {
      field: 'timezone',
    })
  }
  const lower = text.toLowerCase()
  if (lower === 'utc') return 'UTC'
  return Intl.supportedValuesOf('timeZone').find((zone) => zone.toLowerCase() === lower) ?? text
}
