import { SupervisorError } from './errors.ts'
import type { LifeEvent } from './formats.ts'
import { groupMemoryBytes } from './process-group.ts'
import type { Managed } from './slot.ts'
import { splitList } from './split-list.ts'

/** Bytes by type. */
export type MemoryLimits = ReadonlyMap<string, number>

/** The only thing here that wakes up by the clock; it is off unless limits are set. */
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

/** Restarts a process gracefully when its group holds more than its limit, before the platform ends the whole dyno (Heroku R14, R15). */
export function watchMemory(
  limits: MemoryLimits,
  processes: readonly Managed[],
  timeoutMs: number,
  say: (event: LifeEvent) => void,
): () => void {
  const limited = processes.filter((each) => limits.has(each.type))
  if (limited.length === 0) return () => {}
  const timer = setInterval(() => {
    for (const each of limited) {
      if (each.state.tag !== 'running') continue
      const limit = limits.get(each.type)!
      const bytes = groupMemoryBytes(each.state.pid)
      if (bytes <= limit) continue
      say({ tag: 'note', text: `${each.name} holds ${megabytes(bytes)}, more than ${megabytes(limit)}: restarting it` })
      each.restart(Date.now() + timeoutMs)
    }
  }, LOOK_MS)
  return () => clearInterval(timer)
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`
