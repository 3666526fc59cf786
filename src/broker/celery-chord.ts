import { type Outcome, READY_STATES } from '../app/outcome.ts'
import type { Log } from '../log.ts'
import { type Message, parseJson } from '../message/message.ts'
import { type CelerySignature, messageOfSignature, signaturesOf } from './celery-chord-body.ts'
import { type Collected, dependencyFailed, readGroup, resultsOfGroup } from './celery-chord-group.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { Script } from './redis-scripts.ts'

/** A member of a chord has ended, and its result lies in Redis. */
export interface ChordPart {
  readonly message: Message
  readonly outcome: Outcome
  /** Sends the body. Should it reject, `partReturn` does, and is to be called again. */
  readonly publish: (messages: readonly Message[]) => Promise<void>
}

/** The chords that Celery's Redis result backend counts (reference/celery-protocol.md §4.5). */
export interface CeleryChords {
  /**
   * Celery's on_chord_part_return: counts a member of a chord, and sends the body with all results when it was the last. Costs nothing for
   * messages of no group. A part that returns twice counts once; the body may then be sent twice, under the same id.
   * @throws what Redis, `publish` and `fail` throw: then nothing is lost by calling it again
   */
  partReturn(part: ChordPart): Promise<void>
}

export interface CeleryChordOptions {
  readonly ttlSeconds: number
  readonly prefix?: string
  readonly log: Log
  /** Records that the body of a chord will not run, because a member failed. */
  readonly fail: (outcome: ChordFailure) => Promise<void>
}

/** What is known of a body that does not run. */
export type ChordFailure = Pick<Outcome, 'id' | 'task' | 'queue' | 'result'>

/**
 * As Celery does it in a transaction: with `result_chord_ordered` off, members are in a list instead of a sorted set.
 * KEYS: members, size of the chord, what was added to it · ARGV: place in the group, member, seconds to keep all of it
 * Returns { members so far, size, added }
 */
const PART: Script = {
  name: 'chord-part',
  lua: `
local count
if redis.call('TYPE', KEYS[1]).ok == 'list' then count = redis.call('RPUSH', KEYS[1], ARGV[2])
else
  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
  count = redis.call('ZCARD', KEYS[1])
end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[3]) end
return { count, redis.call('GET', KEYS[2]), redis.call('GET', KEYS[3]) }`,
}

const MEMBERS: Script = {
  name: 'chord-members',
  lua: `
if redis.call('TYPE', KEYS[1]).ok == 'list' then return redis.call('LRANGE', KEYS[1], 0, -1) end
return redis.call('ZRANGE', KEYS[1], 0, -1)`,
}

export function createCeleryChords(connection: RedisConnection, options: CeleryChordOptions): CeleryChords {
  const { ttlSeconds, prefix = '', log, fail } = options

  const partReturn = async ({ message, outcome, publish }: ChordPart) => {
    const { group, group_index } = message.headers
    if (typeof group !== 'string' || !READY_STATES.has(outcome.state)) return
    const body = bodyOf(message)
    if (body === undefined) return
    const base = `${prefix}celery-taskset-meta-${group}`
    const keys = [`${base}.j`, `${base}.s`, `${base}.t`]
    const member = `[1, ${JSON.stringify(outcome.id)}, "${outcome.state}", ${outcome.result ?? 'null'}]`
    const [count, size, added] = (await connection.run(PART, keys, [group_index ?? '+inf', member, ttlSeconds])) as Counted
    if (size === null || count !== Number(size) + Number(added ?? 0)) return
    const collected = await collect(base, keys[0]!)
    if ('problem' in collected) {
      await failBody(body, collected.problem, message, publish)
      return
    }
    try {
      await publish([messageOfSignature(body, [`[${collected.values.join(', ')}]`], message)])
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      await failBody(body, `Callback error: ${error.message}`, message, publish)
    }
    await connection.pipeline([['DEL', ...keys]])
  }

  /** A header with groups inside has left its shape in Redis; any other is the list of its members. */
  const collect = async (base: string, membersKey: string): Promise<Collected> => {
    const [shape] = await connection.pipeline([['GET', base]])
    const group = typeof shape === 'string' ? readGroup(shape) : undefined
    if (group !== undefined) {
      const ids = group.ids.map((id) => `${prefix}celery-task-meta-${id}`)
      const [documents] = await connection.pipeline([['MGET', ...ids]])
      return resultsOfGroup(group, documents as (string | null)[])
    }
    return resultsOf((await connection.run(MEMBERS, [membersKey], [])) as string[])
  }

  /** As Celery: the body has failed for whoever waits for it, and its errbacks are told. The counters are left to expire. */
  const failBody = async (body: CelerySignature, problem: string, last: Message, publish: ChordPart['publish']) => {
    const { task_id: id, link_error } = body.options
    log.error({ chord: last.headers.group, task: body.task, id, reason: problem }, 'chord failed, its body is not run')
    if (typeof id !== 'string') return
    const exception = { exc_type: 'ChordError', exc_message: [problem], exc_module: 'celery.exceptions' }
    await fail({ id, task: body.task, queue: last.queue, result: JSON.stringify(exception) })
    const from = { ...last, headers: { ...last.headers, root_id: last.headers.root_id ?? last.headers.id, id } }
    const errbacks = signaturesOf(link_error).map((errback) => messageOfSignature(errback, [JSON.stringify(id)], from))
    if (errbacks.length > 0) await publish(errbacks)
  }

  return { partReturn }
}

type Counted = [count: number, size: string | null, added: string | null]

/** Celery's `embed.chord`, which members of a plain group do not have. */
function bodyOf({ body }: Message): CelerySignature | undefined {
  // Most groups are no chords, and need not be read for it.
  if (!body.includes('"chord"')) return undefined
  try {
    const value = parseJson(body, 'any') as [unknown, unknown, { chord?: unknown } | null] | { chord?: unknown }
    return signaturesOf(Array.isArray(value) ? value[2]?.chord : value.chord)[0]
  } catch {
    return undefined
  }
}

/** `[1, "id", "STATE", value]`: the value is cut out as text, so that it arrives as it was sent, whatever its numbers and types are. */
const MEMBER = /^\s*\[\s*1\s*,\s*("(?:[^"\\]|\\.)*")\s*,\s*"(\w+)"\s*,\s*([\s\S]*)\]\s*$/

function resultsOf(members: readonly string[]): Collected {
  const values: string[] = []
  for (const text of members) {
    const [, id = '""', state = '', value = 'null'] = MEMBER.exec(text) ?? []
    if (state === 'FAILURE' || state === 'REVOKED') return { problem: dependencyFailed(JSON.parse(id), value) }
    if (state === '') return { problem: `a member of the chord cannot be read: ${text.slice(0, 100)}` }
    values.push(value)
  }
  return { values }
}
