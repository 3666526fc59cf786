import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import { type BeatRow, type BeatSchedules, type Claim, TZDATA } from '../database/beat-schedules.ts'
import { AppError, toError } from '../errors.ts'
import type { Log } from '../log.ts'
import { inHalves } from './in-halves.ts'
import { createSweep, type Progress } from './sweep.ts'
import { createEvaluator } from './tick.ts'

const BATCH = 500
/** A statement carries some 500 bytes a run; more than this would make one slow statement out of several fast ones. */
const RUNS_PER_STATEMENT = 1000
/** Longest time without a look at signals and sockets, in milliseconds; `worker --beat` runs tasks beside. */
const TURN_MS = 20

/** A due row, and what was decided for it: a claim, or the reason why there can be none. */
interface Decided {
  readonly row: BeatRow
  readonly claim: Claim | Error
}

/** Claims due schedules, one batch a call. A row that cannot be evaluated rests with its reason, by itself. */
export function createClaimer(schedules: BeatSchedules, options: { log: Log; host: string }): () => Promise<Progress> {
  const { log, host } = options
  const sweep = createSweep(BATCH)

  /** @returns the ids of what was parked: none when somebody holds the row */
  const park = async (row: BeatRow, error: Error): Promise<string[]> => {
    if (isOthers(row)) return []
    const parked = await schedules.park(row, error.message)
    const why = error instanceof AppError ? { reason: error.message } : { err: error }
    const fields = { schedule: row.name, task: row.task, ...why }
    if (parked.length > 0) log.error(fields, 'schedule cannot be evaluated, it rests until it is changed')
    return parked
  }

  /** @returns the ids of what was claimed or parked */
  const settle = async (part: readonly Decided[]): Promise<string[]> => {
    const settled: string[] = []
    const refused = async ({ row }: Decided, error: Error) => void settled.push(...(await park(row, error)))
    for (const one of part) if (one.claim instanceof Error) await refused(one, one.claim)
    const claims = part.filter(({ claim }) => !(claim instanceof Error))
    const claim = (some: readonly Decided[]) =>
      schedules.claim(
        some.map((one) => one.claim as Claim),
        host,
      )
    const claimed = new Set(await inHalves(claims, claim, refused))
    for (const one of claims) if (claimed.has(one.row.id)) say(one, log)
    return [...settled, ...claimed]
  }

  return async () => {
    const rows = await schedules.dueRows(BATCH, sweep.passedOver())
    const decided = await decideEach(rows)
    const done = new Set<string>()
    for (const part of inParts(decided)) for (const id of await settle(part)) done.add(id)
    const notDone = rows.filter(({ id }) => !done.has(id)).map(({ id }) => id)
    const again = decided.filter((one) => done.has(one.row.id) && isDueAgain(one)).map(({ row }) => row.id)
    return sweep.advance(rows.length, notDone, again)
  }
}

/** A beat with newer time zone data planned it, and may know a zone that this one does not: left to that one. */
const isOthers = ({ kind, tzdata }: BeatRow) => kind === 'crontab' && (tzdata ?? '') > TZDATA

/** It catches up, and there is more to catch up on. */
const isDueAgain = ({ row, claim }: Decided) => !(claim instanceof Error) && claim.next !== null && claim.next <= row.db_now

async function decideEach(rows: readonly BeatRow[]): Promise<Decided[]> {
  const evaluator = createEvaluator()
  const decided: Decided[] = []
  let since = performance.now()
  for (const row of rows) {
    decided.push({ row, claim: claimOf(row, evaluator.claim) })
    if (performance.now() - since < TURN_MS) continue
    await turnOfTheLoop()
    since = performance.now()
  }
  return decided
}

function claimOf(row: BeatRow, evaluate: (row: BeatRow) => Claim): Claim | Error {
  try {
    return evaluate(row)
  } catch (error) {
    return toError(error)
  }
}

const runsOf = ({ claim }: Decided): number => (claim instanceof Error ? 0 : claim.runs.length)

/** Parts with at most RUNS_PER_STATEMENT runs, or one row. */
function inParts(decided: readonly Decided[]): Decided[][] {
  const parts: Decided[][] = []
  let runs = Number.POSITIVE_INFINITY
  for (const one of decided) {
    if (runs + runsOf(one) > RUNS_PER_STATEMENT) {
      parts.push([])
      runs = 0
    }
    parts.at(-1)!.push(one)
    runs += runsOf(one)
  }
  return parts
}

function say({ row: { name, task }, claim }: Decided, log: Log): void {
  if (claim instanceof Error) return
  for (const { outcome, task_id, tick, missed } of claim.runs) {
    const fields = { schedule: name, task, tick, ...(missed > 0 && { missed }) }
    if (outcome === 'queued') log.debug({ ...fields, id: task_id }, 'tick claimed')
    else log.warn({ ...fields, outcome }, 'tick too late, not queued')
  }
}
