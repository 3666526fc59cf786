import { AppError } from '../errors.ts'

/**
 * Refuses a value that JSON cannot hold. JSON.stringify would drop functions and turn NaN into null and a Map into {}, so that
 * the task would run with other arguments than the caller passed.
 * @throws AppError VALUE_NOT_JSON naming the path, such as `args[0].when`
 */
export function checkJson(value: unknown, path: string): void {
  const problem = findProblem(value, path, [])
  if (problem !== undefined) throw new AppError('VALUE_NOT_JSON', problem)
}

function findProblem(value: unknown, path: string, ancestors: readonly object[]): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${path} is ${value}, which JSON cannot represent`
  if (typeof value !== 'object') return `${path} is ${describe(value)}, which JSON cannot represent`
  if (ancestors.includes(value)) return `${path} is circular: it refers to a value that contains it`
  if (ancestors.length >= 200) return `${path} is nested more than 200 levels deep`
  const inside = [...ancestors, value]
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const problem = findProblem(value[index], `${path}[${index}]`, inside)
      if (problem !== undefined) return problem
    }
    return undefined
  }
  if (!isPlain(value)) return `${path} is ${describe(value)}, not a plain object: pass its JSON form instead`
  for (const [key, element] of Object.entries(value)) {
    const problem = element === undefined ? undefined : findProblem(element, `${path}.${key}`, inside)
    if (problem !== undefined) return problem
  }
  return undefined
}

const isPlain = (value: object) => {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

const describe = (value: unknown) =>
  value === undefined
    ? 'undefined'
    : typeof value === 'object'
      ? `a ${value?.constructor?.name ?? 'object'}`
      : `a ${typeof value}`
