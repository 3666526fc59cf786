import type { Config, Platform } from '../config.ts'
import type { Seed } from '../database/beat-schedules.ts'

/** Minutes between two visits: well under each platform's idle limit (reference/web-platform.md §1.3). Others never sleep, or need another remedy. */
const SLEEPS_UNLESS_VISITED: Partial<Record<Platform, number>> = { heroku: 25, render: 10, koyeb: 30 }

/** Schedules that every installation has, and why keep-awake is or is not among them. Pure. */
export function seedsOf(config: Pick<Config, 'keepAwake' | 'publicUrl' | 'platform'>): { seeds: Seed[]; keepAwake: string } {
  const cleanUp: Seed = {
    name: 'onedyno.clean_up',
    description: 'Deletes results older than RESULT_TTL.',
    task: 'onedyno.clean_up',
    every: 1,
    period: 'hours',
    catchup: 'one',
  }
  const { minutes, reason } = keepAwakeOf(config)
  if (minutes === undefined) return { seeds: [cleanUp], keepAwake: `off: ${reason}` }
  const description = 'Visits the public URL, so that the platform does not put this service to sleep.'
  const visit: Seed = {
    name: 'onedyno.keep_awake',
    description,
    task: 'onedyno.keep_awake',
    every: minutes,
    period: 'minutes',
    catchup: 'skip',
  }
  return { seeds: [cleanUp, visit], keepAwake: `every ${minutes} minutes: ${reason}` }
}

function keepAwakeOf({ keepAwake, publicUrl, platform }: Pick<Config, 'keepAwake' | 'publicUrl' | 'platform'>): {
  minutes?: number
  reason: string
} {
  if (keepAwake === 'off') return { reason: 'KEEP_AWAKE=off' }
  if (publicUrl === undefined) return { reason: 'no public URL is known, set PUBLIC_URL' }
  if (keepAwake !== 'auto') return { minutes: keepAwake.minutes, reason: 'KEEP_AWAKE' }
  const minutes = SLEEPS_UNLESS_VISITED[platform]
  return minutes === undefined
    ? { reason: 'this platform does not put idle services to sleep, or not for want of visits' }
    : { minutes, reason: platform }
}
