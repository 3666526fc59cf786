import { TaskError } from '../../app/results/task-error.ts'
import { AppError } from '../../errors.ts'

/** What was thrown in one thread, in a form that structured cloning carries to another one whole. */
export type Carried =
  | { readonly tag: 'value'; readonly value: unknown }
  | {
      readonly tag: 'error'
      /** Names of its classes, the nearest first. */
      readonly classes: readonly string[]
      readonly name: string
      readonly message: string
      readonly stack: string | undefined
      readonly cause: Carried | undefined
      /** Everything else that it has, as far as it can be cloned: `code`, `status`, `errors`… */
      readonly fields: Readonly<Record<string, unknown>>
    }

/** A class of errors: whoever catches asks by `instanceof`. */
export type ErrorClass = abstract new (...args: never[]) => unknown

/** A chain of causes may be a circle. */
const DEEPEST = 10
const CARRIED_APART = new Set(['name', 'message', 'stack', 'cause'])

/** Never throws, whatever the thing is. */
export function carry(thrown: unknown, depth = 0): Carried {
  try {
    if (!(thrown instanceof Error)) return { tag: 'value', value: cloneable(thrown) ? thrown : String(thrown) }
    const { name, message, stack } = thrown
    const cause = thrown.cause === undefined || depth >= DEEPEST ? undefined : carry(thrown.cause, depth + 1)
    const texts = { name: String(name), message: String(message), stack: stack === undefined ? undefined : String(stack) }
    return { tag: 'error', classes: classesOf(thrown), ...texts, cause, fields: fieldsOf(thrown) }
  } catch {
    // Without a prototype, or with a getter that throws itself.
    return { tag: 'value', value: 'something was thrown that cannot be shown' }
  }
}

/**
 * The error again: an instance of the class of its name, where `classes` or this package has one, so that `instanceof` holds on both
 * sides; else an Error that has its name.
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
  // A class that names itself by nothing but its declaration is not known here: its name is all that can be kept.
  const shown = name === 'Error' && prototype === undefined ? (carried.classes[0] ?? name) : name
  if (error.name !== shown) Object.defineProperty(error, 'name', { value: shown, configurable: true, writable: true })
  return error
}

/** `errors` of an AggregateError is carried as a field: structured cloning knows errors of the language. */
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
