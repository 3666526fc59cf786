// The watchdog thread, started by watchdog.ts. It watches the event loop of the worker and loads almost nothing until the loop is stuck.
import { parentPort, workerData } from 'node:worker_threads'
import { withTimeout } from '../../concurrency/with-timeout.ts'
import type { Log } from '../../log.ts'
import { BEAT, CURRENT, type Guarded, NOBODY, UNLIMITED, type WatchdogData, type WatchdogMessage } from './protocol.ts'

const data = workerData as WatchdogData
const { shared, config, blockedMs } = data

/**
 * Time between two checks, in milliseconds. Checks are counted instead of clock time, because a process whose machine slept is
 * not stuck.
 */
const LOOK_MS = 250
/** After this number of checks without a beat, the loop counts as stuck. */
const STUCK_TURNS = 4
/**
 * Extra time that the watchdog waits after a limit, because the worker ends the task itself if its loop is not stuck.
 * Milliseconds.
 */
const MARGIN_MS = 500
/**
 * Time for the database to store the outcome. Then the process is killed even without a stored outcome, and the death is counted
 * against its messages. Milliseconds.
 */
const RECORD_MS = 10_000

interface Watched {
  readonly task: Guarded
  readonly deadline: number
  /** true: the outcome is stored already. */
  overdue: boolean
}

const guarded = new Map<number, Watched>()
let timer: NodeJS.Timeout | undefined
let beat = -1
let still = 0
let logged = false
let ending = false

parentPort?.on('message', (message: WatchdogMessage) => {
  if (message.tag === 'begun') guarded.set(message.key, watched(message.task))
  else if (message.tag === 'ended') guarded.delete(message.key)
  else overdue(message.key)
  if (guarded.size > 0) timer ??= setInterval(look, LOOK_MS)
  else {
    clearInterval(timer)
    timer = undefined
  }
})

const watched = (task: Guarded): Watched => {
  return { task, deadline: performance.now() + task.limitMs + MARGIN_MS, overdue: false }
}

function overdue(key: number): void {
  const each = guarded.get(key)
  if (each !== undefined) each.overdue = true
}

function look(): void {
  const now = Atomics.load(shared, BEAT)
  if (now !== beat) {
    beat = now
    still = 0
    logged = false
    return
  }
  still += 1
  if (!logged && still * LOOK_MS >= blockedMs && blockedMs > 0) {
    logged = true
    void logBlocked(still * LOOK_MS)
  }
  if (still < STUCK_TURNS || ending) return
  const expired = expiredTasks()
  if (expired.length === 0) return
  ending = true
  void end(expired).finally(() => {
    ending = false
  })
}

/**
 * Returns the tasks that may be ended. If it is known which task blocks the loop, that task is returned if it is past its limit.
 * Otherwise each task past its limit may be the cause, but only if the loop is stuck for at least as long as that limit, because
 * a task without a limit may compute for any time.
 */
function expiredTasks(): Watched[] {
  const current = Atomics.load(shared, CURRENT)
  if (current === UNLIMITED) return []
  const now = performance.now()
  if (current === NOBODY)
    return [...guarded.values()].filter(({ deadline, task }) => deadline <= now && still * LOOK_MS >= task.limitMs)
  const known = guarded.get(current)
  return known !== undefined && known.deadline <= now ? [known] : []
}

/** Opens a logger, because the logger of the main thread is blocked. It writes to the same destination in the same format. */
async function openLog(): Promise<Log> {
  const { createLog } = await import('../../log.ts')
  return createLog({ level: config.logLevel, format: config.logFormat, stamp: config.logStamp })
}

async function logBlocked(ms: number): Promise<void> {
  const headers = guarded.get(Atomics.load(shared, CURRENT))?.task.message.headers
  const who = headers === undefined ? {} : { task: headers.task, id: headers.id }
  const log = await openLog()
  if (Atomics.load(shared, BEAT) === beat) log.warn({ ...who, ms }, 'event loop is still blocked, no other task can run')
}

async function end(expired: readonly Watched[]): Promise<void> {
  const log = await openLog()
  for (const each of expired) {
    const { message, limitMs } = each.task
    const { task, id } = message.headers
    log.error({ task, id, limitMs }, 'task blocks the event loop past its hard time limit, the worker is killed')
  }
  const tasks = expired.flatMap((each) => (each.overdue ? [] : [each.task]))
  const { recordTimeLimits } = await import('./record.ts')
  const recording = recordTimeLimits(tasks, data, log).then(
    () => true,
    (err: Error) => {
      log.error({ err }, 'watchdog could not store the outcome of a task')
      return false
    },
  )
  const recorded = await withTimeout(recording, RECORD_MS, () => false)
  // The loop is no longer stuck, so the worker continues. The stored outcome remains valid.
  if (Atomics.load(shared, BEAT) !== beat) return
  if (!recorded) log.error('outcome could not be stored in time, so this counts as a death of the worker')
  // The kill waits for the end of the turn, when the logger writes.
  setImmediate(() => process.kill(process.pid, 'SIGKILL'))
}
