import { TaskError } from '../../app/results/task-error.ts'
import { AppError } from '../../errors.ts'

/** A value thrown in one thread, in a form that structured cloning copies completely to another thread. */
export type Carried =
  | { readonly tag: 'value'; readonly value: unknown }
  | {
      readonly tag: 'error'
      /** Names of the error's classes, the most specific first. */
      readonly classes: readonly string[]
      readonly name: string
      readonly message: string
      readonly stack: string | undefined
      readonly cause: Carried | undefined
      /** Other properties of the error that can be cloned: `code`, `status`, `errors`… */
      readonly fields: Readonly<Record<string, unknown>>
    }

/** An error class, as used with `instanceof`. */
export type ErrorClass = abstract new (...args: never[]) => unknown

/** Largest depth to which causes are copied, because they may form a circle. */
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
 * Decodes a thrown value. If `classes` or this package has a class with the error's name, the error becomes an instance of that
 * class, so that `instanceof` works in both threads. Otherwise it becomes an Error with that name.
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
  // This thread does not have the class, and the class has no `name` property of its own: only the name of the class can be
  // kept.
  const shown = name === 'Error' && prototype === undefined ? (carried.classes[0] ?? name) : name
  if (error.name !== shown) Object.defineProperty(error, 'name', { value: shown, configurable: true, writable: true })
  return error
}

/**
 * Error classes that both threads have. The field `errors` of an AggregateError is copied like any other field, because
 * structured cloning can copy built-in errors.
 */
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
