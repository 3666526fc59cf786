/** How long an attempt may take, in seconds; undefined: as long as it likes. */
export interface TimeLimits {
  /** `ctx.signal` aborts. */
  readonly soft: number | undefined
  /** The run is over. */
  readonly hard: number | undefined
}

export const NO_LIMITS: TimeLimits = Object.freeze({ soft: undefined, hard: undefined })

/** What a timer of Node can wait, 24 days: a limit beyond it is none. */
const LONGEST_S = 2_147_483

/** As Celery reads it: 0, null and what is no number are no limit. */
const limit = (value: unknown): number | undefined =>
  typeof value === 'number' && value > 0 && value <= LONGEST_S ? value : undefined

export const timeLimits = (given: { readonly soft?: unknown; readonly hard?: unknown }): TimeLimits => ({
  soft: limit(given.soft),
  hard: limit(given.hard),
})

/** A message's `timelimit`, which comes from anybody, wins over the limits of its task. */
export function limitsOf(timelimit: unknown, ofTask: TimeLimits): TimeLimits {
  if (!Array.isArray(timelimit)) return ofTask
  const given = timeLimits({ hard: timelimit[0], soft: timelimit[1] })
  return { soft: given.soft ?? ofTask.soft, hard: given.hard ?? ofTask.hard }
}
