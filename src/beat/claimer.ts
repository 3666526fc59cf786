import { setImmediate as nextLoopTurn } from 'node:timers/promises'
import { type BeatRow, type BeatSchedules, type TickClaim, TZDATA } from '../database/beat-schedules.ts'
import { toError } from '../errors.ts'
import type { Log } from '../log.ts'
import { inHalves } from './in-halves.ts'
import { logSuspended } from './log-suspended.ts'
import { type BatchProgress, createSweep } from './sweep.ts'
import { createEvaluator } from './tick.ts'

const BATCH = 500
/** A run adds about 500 bytes to a statement. A larger batch would make one slow statement instead of several fast ones. */
const RUNS_PER_STATEMENT = 1000
/**
 * Longest time in milliseconds that evaluation may block the event loop, because `worker --beat` runs tasks in the same process.
 */
const MAX_BLOCK_MS = 20

/** A due row and its claim, or the error that its evaluation threw. */
interface EvaluatedRow {
  readonly row: BeatRow
  readonly claim: TickClaim | Error
}

/** Claims due schedules, one batch per call. Suspends a row that cannot be evaluated, and claims the other rows of the batch. */
export function createClaimer(schedules: BeatSchedules, options: { log: Log; host: string }): () => Promise<BatchProgress> {
  const { log, host } = options
  const sweep = createSweep(BATCH)

  /** @returns the id of the row, or nothing if another transaction has locked it */
  const suspend = async (row: BeatRow, error: Error): Promise<string[]> => {
    if (isForNewerBeat(row)) return []
    const suspended = await schedules.suspend(row, error.message)
    if (suspended.length > 0) logSuspended(log, { schedule: row.name, task: row.task }, error)
    return suspended
  }

  /** @returns the ids of the rows that were claimed or suspended */
  const claimOrSuspend = async (part: readonly EvaluatedRow[]): Promise<string[]> => {
    const suspended: string[] = []
    const refused = async ({ row }: EvaluatedRow, error: Error) => void suspended.push(...(await suspend(row, error)))
    for (const one of part) if (one.claim instanceof Error) await refused(one, one.claim)
    const claims = part.filter(({ claim }) => !(claim instanceof Error))
    const claim = (some: readonly EvaluatedRow[]) =>
      schedules.claim(
        some.map((one) => one.claim as TickClaim),
        host,
      )
    const claimed = new Set(await inHalves(claims, claim, refused))
    for (const one of claims) if (claimed.has(one.row.id)) logClaim(one, log)
    return [...suspended, ...claimed]
  }

  return async () => {
    const rows = await schedules.dueRows(BATCH, sweep.passedOver())
    const evaluated = await evaluateEach(rows)
    const done = new Set<string>()
    for (const part of inParts(evaluated)) for (const id of await claimOrSuspend(part)) done.add(id)
    const notDone = rows.filter(({ id }) => !done.has(id)).map(({ id }) => id)
    const again = evaluated.filter((one) => done.has(one.row.id) && isDueAgain(one)).map(({ row }) => row.id)
    return sweep.advance(rows.length, notDone, again)
  }
}

/**
 * Returns true if a beat with newer time zone data planned the row. The row may have a zone that this process lacks, so the
 * newer beat handles it.
 */
const isForNewerBeat = ({ kind, tzdata }: BeatRow) => kind === 'crontab' && (tzdata ?? '') > TZDATA

/** Returns true if the schedule catches up and more missed ticks remain. */
const isDueAgain = ({ row, claim }: EvaluatedRow) => !(claim instanceof Error) && claim.next !== null && claim.next <= row.db_now

async function evaluateEach(rows: readonly BeatRow[]): Promise<EvaluatedRow[]> {
  const evaluator = createEvaluator()
  const evaluated: EvaluatedRow[] = []
  let since = performance.now()
  for (const row of rows) {
    evaluated.push({ row, claim: claimOf(row, evaluator.claim) })
    if (performance.now() - since < MAX_BLOCK_MS) continue
    await nextLoopTurn()
    since = performance.now()
  }
  return evaluated
}

function claimOf(row: BeatRow, evaluate: (row: BeatRow) => TickClaim): TickClaim | Error {
  try {
    return evaluate(row)
  } catch (error) {
    return toError(error)
  }
}

const runsOf = ({ claim }: EvaluatedRow): number => (claim instanceof Error ? 0 : claim.runs.length)

/** Splits a batch into parts with at most RUNS_PER_STATEMENT runs each. A row with more runs becomes a part of its own. */
function inParts(evaluated: readonly EvaluatedRow[]): EvaluatedRow[][] {
  const parts: EvaluatedRow[][] = []
  let runs = Number.POSITIVE_INFINITY
  for (const one of evaluated) {
    if (runs + runsOf(one) > RUNS_PER_STATEMENT) {
      parts.push([])
      runs = 0
    }
    parts.at(-1)!.push(one)
    runs += runsOf(one)
  }
  return parts
}

function logClaim({ row: { name, task }, claim }: EvaluatedRow, log: Log): void {
  if (claim instanceof Error) return
  for (const { outcome, task_id, tick, missed } of claim.runs) {
    const fields = { schedule: name, task, tick, ...(missed > 0 && { missed }) }
    if (outcome === 'queued') log.debug({ ...fields, id: task_id }, 'tick claimed')
    else log.warn({ ...fields, outcome }, 'tick was skipped, it is too late')
  }
}
