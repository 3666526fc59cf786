import { TaskError } from '../../app/results/task-error.ts'
import { AppError } from '../../errors.ts'

/** A value thrown in one thread, in a form that structured cloning copies completely to another thread. */
export type Carried =
  | { readonly tag: 'value'; readonly value: unknown }
  | {
      readonly tag: 'error'
      /** Names of its classes, the most specific first. */
      readonly classes: readonly string[]
      readonly name: string
      readonly message: string
      readonly stack: string | undefined
      readonly cause: Carried | undefined
      /** Its other properties that can be cloned: `code`, `status`, `errors`… */
      readonly fields: Readonly<Record<string, unknown>>
    }

/** An error class, as used with `instanceof`. */
export type ErrorClass = abstract new (...args: never[]) => unknown

/** Causes are copied down to this depth, because they may form a circle. */
const DEEPEST = 10
const CARRIED_APART = new Set(['name', 'message', 'stack', 'cause'])

/** Encodes any thrown value. Never throws. */
export function carry(thrown: unknown, depth = 0): Carried {
  try {
    if (!(thrown instanceof Error)) return { tag: 'value', value: cloneable(thrown) ? thrown : String(thrown) }
    const { name, message, stack } = thrown
    const cause = thrown.cause === undefined || depth >= DEEPEST ? undefined : carry(thrown.cause, depth + 1)
    const texts = { name: String(name), message: String(message), stack: stack === undefined ? undefined : String(stack) }
    return { tag: 'error', classes: classesOf(thrown), ...texts, cause, fields: fieldsOf(thrown) }
  } catch {
    // The value has no prototype, or a getter that throws.
    return { tag: 'value', value: 'something was thrown that cannot be shown' }
  }
}

/**
 * Decodes a thrown value. An error becomes an instance of the class of its name if `classes` or this package has one, so that `instanceof`
 * works on both sides. Else it becomes an Error with that name.
 */
export function revive(carried: Carried, classes: readonly ErrorClass[] = []): unknown {
  if (carried.tag === 'value') return carried.value
  const { name, message, stack, cause, fields } = carried
  const error = new Error(message, cause === undefined ? undefined : { cause: revive(cause, classes) })
  const prototype = nearest(carried.classes, [...classes, ...KNOWN])
  if (prototype !== undefined) Object.setPrototypeOf(error, prototype)
  Object.defineProperty(error, 'stack', { value: stack, configurable: true, writable: true })
  for (const [key, value] of Object.entries(fields))
    Object.defineProperty(error, key, { value, configurable: true, writable: true, enumerable: true })
  // A class without a `name` property of its own does not exist in this thread: only its name can be kept.
  const shown = name === 'Error' && prototype === undefined ? (carried.classes[0] ?? name) : name
  if (error.name !== shown) Object.defineProperty(error, 'name', { value: shown, configurable: true, writable: true })
  return error
}

/** `errors` of an AggregateError is carried as a field, because structured cloning copies built-in errors. */
const KNOWN: readonly ErrorClass[] = [
  AppError,
  TaskError,
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  EvalError,
  URIError,
  AggregateError,
]

function nearest(names: readonly string[], classes: readonly ErrorClass[]): object | undefined {
  for (const name of names) {
    const found = classes.find((each) => each.name === name)
    if (found !== undefined) return found.prototype as object
  }
  return undefined
}

function classesOf(error: Error): string[] {
  const names: string[] = []
  for (let at = Object.getPrototypeOf(error); at !== null && at !== Error.prototype; at = Object.getPrototypeOf(at))
    names.push(String(at.constructor?.name))
  return names
}

function fieldsOf(error: Error): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const key of Object.getOwnPropertyNames(error)) {
    if (CARRIED_APART.has(key)) continue
    const value = (error as unknown as Record<string, unknown>)[key]
    if (cloneable(value)) fields[key] = value
  }
  return fields
}

function cloneable(value: unknown): boolean {
  try {
    structuredClone(value)
    return true
  } catch {
    return false
  }
}
