import type { Clock } from '../../clock.ts'

export interface AttemptLimit {
  /** Returns the seconds until the next attempt is allowed; 0 means now. */
  waitSeconds(address: string): number
  failed(address: string): void
}

const WINDOW_MS = 60_000
const PER_ADDRESS = 5
const IN_ALL = 20

/**
 * Allows five wrong passwords a minute from one address and twenty from all addresses, because an attacker can have many
 * addresses. Only failures count, so a script with the right password does not delay itself. Beyond the limit the right password
 * is refused too, because a different answer would help an attacker to guess it.
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
      // At most IN_ALL failures count within a window, so this map stays small.
      for (const [known, times] of byAddress) if (recent(times).length === 0) byAddress.delete(known)
      all = [...recent(all), clock.now()]
      byAddress.set(address, [...recent(byAddress.get(address) ?? []), clock.now()])
    },
  }
}
