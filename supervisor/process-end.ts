import type { Exit } from './exit.ts'
import { isGroupAlive, send } from './process-group.ts'

/** If the leader exits without a request, the rest of its group gets SIGKILL after this time. Milliseconds. */
const GROUP_GRACE_MS = 5_000
/**
 * After the end of the group, reading stops after this time without data, because a process that left the group may keep the
 * pipe open for ever. Milliseconds.
 */
const QUIET_MS = 1_000
/** After the end of the group, reading stops after this time in any case. Milliseconds. */
const DRAIN_MS = 5_000
const FIRST_LOOK_MS = 10
const LONGEST_LOOK_MS = 1_000

/**
 * Decides when a process has ended. After the exit of the leader, the rest of its group must end, and the pipe must be read to
 * its end. If a member of the group has closed its output, its death causes no event, so the group is checked at growing
 * intervals. A process that left the group and still has the pipe open gets QUIET_MS to write its last lines.
 * @param group id of the process group; 0 if the process could not be started
 * @param clean closes the pipe; called once, before `ended` resolves
 */
export function createProcessEnd(group: number, clean: () => void) {
  const { promise: ended, resolve } = Promise.withResolvers<Exit>()
  let exit: Exit | undefined
  let eof = false
  /** True after the group was signalled: then the sender of the signal also plans SIGKILL. */
  let asked = false
  let killed = group === 0
  /** True while reading is paused. */
  let held = false
  let finished = false
  let graceEndsMs = Number.POSITIVE_INFINITY
  let drainAtMs = 0
  let lookMs = FIRST_LOOK_MS
  let timer: NodeJS.Timeout | undefined

  const finish = () => {
    if (finished) return
    finished = true
    clearTimeout(timer)
    clean()
    resolve(exit ?? { signal: 'SIGKILL' })
  }
  const later = (ms: number, then: () => void) => {
    clearTimeout(timer)
    timer = setTimeout(then, ms)
  }
  const settle = () => {
    if (exit === undefined || finished) return
    if (!killed && Date.now() >= graceEndsMs) {
      send(-group, 'SIGKILL')
      killed = true
    }
    if (!killed && isGroupAlive(group)) {
      later(lookMs, settle)
      lookMs = Math.min(LONGEST_LOOK_MS, lookMs * 2)
    } else if (eof) finish()
    else drain()
  }
  const drain = () => {
    drainAtMs ||= Date.now()
    if (!held) later(QUIET_MS, finish)
  }
  return {
    /** Resolves with the exit of the leader when the process has ended. Never rejects. */
    ended,
    finish,
    exited(how: Exit) {
      if (exit !== undefined) return
      exit = how
      if (!asked && group > 0) {
        graceEndsMs = Date.now() + GROUP_GRACE_MS
        send(-group, 'SIGTERM')
      }
      settle()
    },
    endOfFile() {
      eof = true
      settle()
    },
    /** Notes that data arrived from the pipe. HOT. */
    gotData() {
      if (drainAtMs === 0 || finished) return
      if (Date.now() - drainAtMs > DRAIN_MS) finish()
      else drain()
    },
    paused() {
      held = true
      if (drainAtMs !== 0) clearTimeout(timer)
    },
    resumed() {
      held = false
      if (drainAtMs === 0) return
      drainAtMs = Date.now()
      settle()
    },
    signalled(signal: NodeJS.Signals) {
      asked = true
      killed ||= signal === 'SIGKILL'
      if (killed) setImmediate(settle)
    },
  }
}
