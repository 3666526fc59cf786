import { html } from 'ghtml'
import type { Html } from './layout.ts'

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const

/** Returns `2 minutes ago`, `in 3 hours` or `now`: the largest unit that fits, rounded down. */
export function relative(at: Date, now: Date): string {
  const distance = Math.abs(at.getTime() - now.getTime())
  for (const [unit, ms] of UNITS) {
    if (distance < ms) continue
    const count = Math.floor(distance / ms)
    const length = `${count} ${unit}${count === 1 ? '' : 's'}`
    return at > now ? `in ${length}` : `${length} ago`
  }
  return 'now'
}

/** Returns a text such as `2026-11-22 18:00:03 UTC`. */
export const absolute = (at: Date): string => `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`

/** Returns the time in UTC, followed by the relative time in brackets. */
export const moment = (at: Date, now: Date): Html =>
  html`<time datetime="${at.toISOString()}">${absolute(at)}</time> <span class="soft">(${relative(at, now)})</span>`

/** Returns the relative time, with the time in UTC as tooltip. */
export const shortMoment = (at: Date, now: Date): Html =>
  html`<time datetime="${at.toISOString()}" title="${absolute(at)}">${relative(at, now)}</time>`

/** Returns a text such as `35 ms`, `2.4 s` or `3 min 20 s`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  return seconds < 3600
    ? `${Math.floor(seconds / 60)} min ${seconds % 60} s`
    : `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}
