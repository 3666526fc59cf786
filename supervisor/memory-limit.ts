import { SupervisorError } from './errors.ts'
import type { LifeEvent } from './format.ts'
import { splitList } from './options.ts'
import { groupMemoryBytes } from './process-group.ts'
import type { Slot } from './slot.ts'

/** Limits in bytes, by process type. */
export type MemoryLimits = ReadonlyMap<string, number>

/** Time between two checks. Without limits there is no timer, so an idle supervisor never wakes up. Milliseconds. */
const LOOK_MS = 5_000
const UNITS: Record<string, number> = { K: 1e3, M: 1e6, G: 1e9, KI: 2 ** 10, MI: 2 ** 20, GI: 2 ** 30 }

/**
 * Reads `worker=200MB,web=1GiB`.
 *
 * @throws SupervisorError OPTION_INVALID
 */
export function parseMemoryLimits(text: string): Map<string, number> {
  const limits = new Map<string, number>()
  for (const part of splitList(text)) {
    const match = /^([A-Za-z0-9_-]+)=(\d+(?:\.\d+)?)([KMG]i?)B?$/i.exec(part)
    if (match === null)
      throw new SupervisorError(
        'OPTION_INVALID',
        `--max-memory ${JSON.stringify(part)} is not NAME=SIZE with a size like 200MB or 1GiB`,
      )
    limits.set(match[1]!, Number(match[2]) * UNITS[match[3]!.toUpperCase()]!)
  }
  return limits
}

export interface MemoryWatchOptions {
  readonly limits: MemoryLimits
  readonly slots: readonly Slot[]
  /** Time from SIGTERM to SIGKILL for a process that is restarted. Milliseconds. */
  readonly timeoutMs: number
  readonly say: (event: LifeEvent) => void
}

/**
 * Restarts a process gracefully when its group uses more memory than the limit of its type, before the platform stops the whole
 * dyno (Heroku R14 and R15). Returns the function that ends the watch.
 */
export function watchMemory({ limits, slots, timeoutMs, say }: MemoryWatchOptions): () => void {
  const limited = slots.filter((slot) => limits.has(slot.type))
  if (limited.length === 0) return () => {}
  const timer = setInterval(() => {
    for (const slot of limited) {
      if (slot.state.tag !== 'running') continue
      const limit = limits.get(slot.type)!
      const bytes = groupMemoryBytes(slot.state.pid)
      if (bytes <= limit) continue
      say({ tag: 'note', text: `${slot.name} uses ${megabytes(bytes)}, limit ${megabytes(limit)}; restarting it` })
      slot.restart(Date.now() + timeoutMs)
    }
  }, LOOK_MS)
  return () => clearInterval(timer)
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`
