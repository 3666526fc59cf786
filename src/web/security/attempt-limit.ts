import type { Clock } from '../../clock.ts'

export interface AttemptLimit {
  /** Seconds until another attempt may be made; 0: now. */
  waitSeconds(address: string): number
  failed(address: string): void
}

const WINDOW_MS = 60_000
const PER_ADDRESS = 5
const IN_ALL = 20

/**
 * Five wrong passwords a minute from one address, twenty from all together, because addresses are cheap. Only failures count, so a script that
 * knows the password is never slowed down by itself. Within a limit the right password is refused too: an answer would tell the guesser.
 */
export function createAttemptLimit(clock: Clock): AttemptLimit {
  let all: number[] = []
  const byAddress = new Map<string, number[]>()
  const recent = (times: readonly number[]) => times.filter((time) => clock.now() - time < WINDOW_MS)
  const waitMs = (times: readonly number[], max: number) => (times.length < max ? 0 : times.at(-max)! + WINDOW_MS - clock.now())
  return {
    waitSeconds(address) {
      return Math.ceil(Math.max(0, waitMs(recent(all), IN_ALL), waitMs(recent(byAddress.get(address) ?? []), PER_ADDRESS)) / 1000)
    },
    failed(address) {
      // No more than IN_ALL failures are ever let through in a window, so this stays as small as that.
      for (const [known, times] of byAddress) if (recent(times).length === 0) byAddress.delete(known)
      all = [...recent(all), clock.now()]
      byAddress.set(address, [...recent(byAddress.get(address) ?? []), clock.now()])
    },
  }
}
