import type { Config, Platform } from '../config.ts'
import type { Seed } from '../database/beat-schedules.ts'

/**
 * Minutes between two visits on platforms that put an idle service to sleep, well below the platform's limit. Limits in 2026:
 * Heroku Eco 30 min (devcenter "Eco Dyno Hours"), Render free 15 min ("Deploy for Free"), Koyeb free 60 min ("Scale to Zero").
 * On other platforms visits have no effect.
 */
const VISIT_MINUTES: Partial<Record<Platform, number>> = { heroku: 25, render: 10, koyeb: 30 }

/** Returns the schedules that onedyno creates by itself. `keepAwake` says whether they include the visit, and why. Pure. */
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
  const minutes = VISIT_MINUTES[platform]
  return minutes === undefined
    ? { reason: 'visits do not keep this platform awake, or it never sleeps' }
    : { minutes, reason: platform }
}
