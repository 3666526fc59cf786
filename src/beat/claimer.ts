import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import { type BeatRow, type BeatSchedules, type Claim, TZDATA } from '../database/beat-schedules.ts'
import { toError } from '../errors.ts'
import type { Log } from '../log.ts'
import { inHalves } from './in-halves.ts'
import type { Progress } from './planner.ts'
import { createEvaluator } from './tick.ts'

const BATCH = 500
/** A statement carries some 200 bytes a run; more than this would make one slow statement out of several fast ones. */
const RUNS_PER_STATEMENT = 1000
/** Longest time without a look at signals and sockets, in milliseconds; `worker --beat` runs tasks beside. */
const TURN_MS = 20

/**
 * Claims due schedules, one batch a call. A sweep goes on until every due row had its turn: rows that somebody else holds, and rows that
 * are due again at once because they catch up, are passed over until its end, so that they hold up nobody.
 */
export function createClaimer(schedules: BeatSchedules, options: { log: Log; host: string }): () => Promise<Progress> {
  const { log, host } = options
  let passedOver: string[] = []
  let held = 0
  let behind = false

  const rest = async (row: BeatRow, error: Error) => {
    const parked = await schedules.park(row, error.message)
    const fields = { schedule: row.name, task: row.task, reason: error.message }
    if (parked.length > 0) log.error(fields, 'schedule cannot be evaluated, it rests until it is changed')
    return parked
  }

  /** A beat with newer time zone data planned it, and may know a zone that this one does not: left to that one. */
  const isOthers = (row: BeatRow) => row.kind === 'crontab' && (row.tzdata ?? '') > TZDATA

  const decideEach = async (rows: readonly BeatRow[], done: Set<string>): Promise<Claim[]> => {
    const claims: Claim[] = []
    const evaluator = createEvaluator()
    let since = performance.now()
    for (const row of rows) {
      try {
        claims.push(evaluator.claim(row))
      } catch (error) {
        if (!isOthers(row)) for (const id of await rest(row, toError(error))) done.add(id)
      }
      if (performance.now() - since > TURN_MS) {
        await turnOfTheLoop()
        since = performance.now()
      }
    }
    return claims
  }

  const claimEach = async (claims: readonly Claim[], byId: ReadonlyMap<string, BeatRow>, done: Set<string>) => {
    const claim = (part: readonly Claim[]) => schedules.claim(part, host)
    for (const part of inParts(claims)) {
      const claimed = await inHalves(part, claim, async ({ id }, error) => {
        for (const parked of await rest(byId.get(id)!, error)) done.add(parked)
      })
      for (const id of claimed) done.add(id)
      const isClaimed = new Set(claimed)
      for (const one of part) if (isClaimed.has(one.id)) say(one, byId.get(one.id)!, log)
    }
  }

  return async () => {
    const rows = await schedules.dueRows(BATCH, passedOver)
    const byId = new Map(rows.map((row) => [row.id, row]))
    const done = new Set<string>()
    const claims = await decideEach(rows, done)
    await claimEach(claims, byId, done)
    const isDueAgain = ({ id, next }: Claim) => done.has(id) && next !== null && next <= byId.get(id)!.db_now
    const dueAgain = claims.filter(isDueAgain).map(({ id }) => id)
    const notDone = rows.filter(({ id }) => !done.has(id)).map(({ id }) => id)
    held += notDone.length
    behind ||= dueAgain.length > 0
    if (rows.length === BATCH) {
      passedOver.push(...notDone, ...dueAgain)
      return { more: true, held: 0 }
    }
    const progress = { more: behind, held }
    passedOver = []
    held = 0
    behind = false
    return progress
  }
}

/** Parts with at most RUNS_PER_STATEMENT runs, or one claim. */
function inParts(claims: readonly Claim[]): Claim[][] {
  const parts: Claim[][] = []
  let runs = Number.POSITIVE_INFINITY
  for (const claim of claims) {
    if (runs + claim.runs.length > RUNS_PER_STATEMENT) {
      parts.push([])
      runs = 0
    }
    parts.at(-1)!.push(claim)
    runs += claim.runs.length
  }
  return parts
}

function say({ runs }: Claim, { name, task }: BeatRow, log: Log): void {
  for (const { outcome, task_id, tick, missed } of runs) {
    const fields = { schedule: name, task, tick, ...(missed > 0 && { missed }) }
    if (outcome === 'queued') log.debug({ ...fields, id: task_id }, 'tick claimed')
    else log.warn({ ...fields, outcome }, 'tick too late, not queued')
  }
}
