import { parseJson } from '../../message/python-json.ts'

/** The results of the members of a chord as JSON texts, or the problem because of which the body cannot receive them. */
export type Collected = { readonly values: readonly string[] } | { readonly problem: string }

/** The structure of a chord's header: a task is its id, a group is a list. */
type Shape = string | readonly Shape[]

export interface SavedGroup {
  readonly shape: readonly Shape[]
  /** The ids of all tasks, in order. */
  readonly ids: readonly string[]
}

/**
 * Reads the document that Celery's `GroupResult.save()` writes: `{"result": [["<group>", null], [[["<id>", null], null], …]]}`
 * (docs/internals/wire-protocol.md).
 */
export function readGroup(text: string): SavedGroup | undefined {
  try {
    const { result } = JSON.parse(text) as { result?: unknown }
    const shape = shapeOf(result)
    if (typeof shape === 'string') return undefined
    return { shape, ids: (shape as unknown[]).flat(Number.POSITIVE_INFINITY) as string[] }
  } catch {
    return undefined
  }
}

/** Reads a result tuple: `[[id, parent], null]` for a task, `[[id, parent], [members]]` for a group. */
function shapeOf(tuple: unknown): Shape {
  const [[id], members] = tuple as [[string, unknown], unknown[] | null]
  return members === null ? id : members.map(shapeOf)
}

/** Builds the results of a saved group from the result documents of its ids. The results get the structure of the group. */
export function resultsOfGroup({ shape, ids }: SavedGroup, documents: readonly (string | null)[]): Collected {
  const values = new Map<string, string>()
  for (const [at, id] of ids.entries()) {
    const text = documents[at]
    if (text == null) return { problem: `Join error: the result of ${id} is not there` }
    const { status, result = null } = parseJson(text, 'any') as { status?: string; result?: unknown }
    if (status !== 'SUCCESS') return { problem: dependencyFailed(id, JSON.stringify(result)) }
    values.set(id, JSON.stringify(result))
  }
  const textOf = (each: Shape): string =>
    typeof each === 'string' ? (values.get(each) ?? 'null') : `[${each.map(textOf).join(', ')}]`
  return { values: shape.map(textOf) }
}

/** Returns Celery's message for a failed member: `Dependency <id> raised ValueError('boom')`. */
export function dependencyFailed(id: string, exception: string): string {
  const { exc_type = 'Exception', exc_message = [] } = (parseJson(exception, 'any') ?? {}) as {
    exc_type?: string
    exc_message?: unknown
  }
  const args = Array.isArray(exc_message) ? exc_message : [exc_message]
  return `Dependency ${id} raised ${exc_type}(${args.map(repr).join(', ')})`
}

const repr = (value: unknown): string =>
  typeof value === 'string' && !/['\\\n]/.test(value) ? `'${value}'` : (JSON.stringify(value) ?? 'None')
