import { AssertionError } from 'node:assert'
import { isDeepStrictEqual } from 'node:util'

/** A recorded call. */
export interface Enqueued {
  readonly id: string
  readonly task: string
  readonly args: readonly unknown[]
  readonly kwargs: Readonly<Record<string, unknown>>
  readonly queue: string
  readonly priority: number
  /** The earliest time to run; undefined: the call may run at once. */
  readonly eta: Date | undefined
  readonly expires: Date | undefined
  readonly headers: Readonly<Record<string, unknown>>
}

/** Expected properties of a call. A property that is not given may have any value. */
export interface Expected {
  readonly args?: readonly unknown[]
  readonly kwargs?: Readonly<Record<string, unknown>>
  readonly queue?: string
  readonly priority?: number
  /** The expected number of matching calls. Default: at least one. */
  readonly times?: number
}

/** A task, or the name of a task. */
export type TaskOrName = string | { readonly name: string }

/** Asserts that matching calls were enqueued. @throws AssertionError that lists the enqueued calls */
export function assertEnqueued(enqueued: readonly Enqueued[], task: TaskOrName, expected: Expected = {}): readonly Enqueued[] {
  const { times } = expected
  const found = enqueued.filter((call) => fits(call, task, expected))
  if (times === undefined ? found.length > 0 : found.length === times) return found
  const wanted = `${times === undefined ? 'a call' : `${times} calls`} of ${nameOf(task)}${detailsOf(expected)}`
  const message = `expected ${wanted}, but ${found.length} of these calls match:\n${listOf(enqueued)}`
  throw new AssertionError({ message, actual: found.length, expected: times ?? 'at least 1', operator: 'assertEnqueued' })
}

/** Asserts that no matching call was enqueued. */
export function assertNotEnqueued(enqueued: readonly Enqueued[], task: TaskOrName, expected: Omit<Expected, 'times'> = {}): void {
  const found = enqueued.filter((call) => fits(call, task, expected))
  if (found.length === 0) return
  const message = `expected no call of ${nameOf(task)}${detailsOf(expected)}, but there are:\n${listOf(found)}`
  throw new AssertionError({ message, actual: found.length, expected: 0, operator: 'assertNotEnqueued' })
}

const nameOf = (task: TaskOrName) => (typeof task === 'string' ? task : task.name)

function fits(call: Enqueued, task: TaskOrName, { times: _times, ...expected }: Expected): boolean {
  if (call.task !== nameOf(task)) return false
  return Object.entries(expected).every(
    ([name, value]) => value === undefined || isDeepStrictEqual(call[name as keyof Enqueued], value),
  )
}

function detailsOf({ times: _times, ...expected }: Expected): string {
  const named = Object.entries(expected).filter(([, value]) => value !== undefined)
  return named.length === 0 ? '' : ` with ${named.map(([name, value]) => `${name} ${JSON.stringify(value)}`).join(', ')}`
}

const listOf = (calls: readonly Enqueued[]) =>
  calls.length === 0
    ? '  (nothing was enqueued)'
    : calls
        .map(({ task, args, kwargs, queue, eta }) => {
          const named = Object.keys(kwargs).length === 0 ? '' : `, ${JSON.stringify(kwargs)}`
          const later = eta === undefined ? '' : ` at ${eta.toISOString()}`
          return `  ${task}(${args.map((arg) => JSON.stringify(arg)).join(', ')}${named}) in ${queue}${later}`
        })
        .join('\n')
