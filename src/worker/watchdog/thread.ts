// A thread of its own, started by watchdog.ts: it looks on while the event loop of the worker is stuck, and loads next to nothing until then.
import { parentPort, workerData } from 'node:worker_threads'
import { withTimeout } from '../../concurrency/with-timeout.ts'
import type { Log } from '../../log.ts'
import { BEAT, CURRENT, type Guarded, NOBODY, UNLIMITED, type WatchdogData, type WatchdogMessage } from './protocol.ts'

const data = workerData as WatchdogData
const { shared, config, blockedMs } = data

/** How often it looks, milliseconds. Its own turns are counted, not the clock: a machine that slept is not stuck. */
const LOOK_MS = 250
/** Without a sign of life for so many turns the loop is stuck. */
const STUCK_TURNS = 4
/** The worker itself ends a task at its limit when its loop goes round: it goes first. Milliseconds. */
const MARGIN_MS = 500
/** How long the database may take; then the process ends without a record, and the death is counted against its messages. Milliseconds. */
const RECORD_MS = 10_000

interface Watched {
  readonly task: Guarded
  readonly deadline: number
  /** Its outcome is recorded already. */
  overdue: boolean
}

const guarded = new Map<number, Watched>()
let timer: NodeJS.Timeout | undefined
let beat = -1
let still = 0
let said = false
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
    said = false
    return
  }
  still += 1
  if (!said && still * LOOK_MS >= blockedMs && blockedMs > 0) {
    said = true
    void sayBlocked(still * LOOK_MS)
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
 * The one that is known to have the loop, if its time is over. When nobody knows, it may be any of those whose time is over, and it may be
 * a task without a limit, which may compute as long as it likes: so the loop is left alone for as long again as the limit.
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

/** The process's own logger cannot write now; this one writes to the same place in the same form. */
async function openLog(): Promise<Log> {
  const { createLog } = await import('../../log.ts')
  return createLog({ level: config.logLevel, format: config.logFormat, stamp: config.logStamp })
}

async function sayBlocked(ms: number): Promise<void> {
  const headers = guarded.get(Atomics.load(shared, CURRENT))?.task.message.headers
  const who = headers === undefined ? {} : { task: headers.task, id: headers.id }
  const log = await openLog()
  if (Atomics.load(shared, BEAT) === beat) log.warn({ ...who, ms }, 'event loop is still blocked: nothing else can run')
}

async function end(expired: readonly Watched[]): Promise<void> {
  const log = await openLog()
  for (const each of expired) {
    const { message, limitMs } = each.task
    const { task, id } = message.headers
    log.error({ task, id, limitMs }, 'task never gives the event loop back and is past its hard time limit, the worker is killed')
  }
  const tasks = expired.flatMap((each) => (each.overdue ? [] : [each.task]))
  const { recordTimeLimits } = await import('./record.ts')
  const recording = recordTimeLimits(tasks, data, log).then(
    () => true,
    (err: Error) => {
      log.error({ err }, 'the watchdog could not record the end of a task')
      return false
    },
  )
  const recorded = await withTimeout(recording, RECORD_MS, () => false)
  // It came back meanwhile, and goes on; what was recorded stays recorded.
  if (Atomics.load(shared, BEAT) !== beat) return
  if (!recorded) log.error('its end could not be recorded in time, it is counted as a death of the worker')
  // The logger writes at the end of the turn.
  setImmediate(() => process.kill(process.pid, 'SIGKILL'))
}
