import { randomUUID } from 'node:crypto'
import type { Planner } from '../../app/canvas/plan.ts'
import type { Plan } from '../../app/effects.ts'
import { type Outcome, READY_STATES } from '../../app/outcome.ts'
import { type End, failBody } from '../../database/chords.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { RedisConnection } from '../redis/connection.ts'
import type { Script } from '../redis/scripts.ts'
import { type Collected, dependencyFailed, readGroup, resultsOfGroup } from './chord-group.ts'
import { type ChordPart, partsOf } from './chord-part.ts'

/** Counts the ended members of chords as Celery's Redis result backend does (docs/internals/wire-protocol.md). */
export interface CeleryChords {
  /**
   * Counts a member of a chord, and ends the chord after its last member, like Celery's on_chord_part_return. Call it after the
   * result is written to Redis. A message without a chord costs no request. A member that is reported twice counts once, but the
   * body may then be sent twice, with the same id.
   * @throws errors of Redis and of `end`; the call may be repeated
   */
  partReturn(message: Message, outcome: Outcome): Promise<void>
}

export interface CeleryChordOptions {
  readonly ttlSeconds: number
  readonly prefix?: string
  readonly log: Log
  /** Turns bodies and errbacks into messages. */
  readonly planner: Planner
  /** Sends the messages of an ended chord, or stores the outcome of a body that cannot run. */
  readonly end: (end: End) => Promise<void>
}

/**
 * Counts a member, as Celery does in a transaction. Members are in a sorted set, or in a list if `result_chord_ordered` is off.
 * KEYS: members, size of the chord, tasks that joined later · ARGV: position in the group, member, seconds to keep the keys
 * Returns { members so far, size, tasks that joined later }
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
  const { ttlSeconds, prefix = '', log, planner, end } = options

  const count = async (part: ChordPart, { message, state, result }: ReadyMember) => {
    const base = `${prefix}celery-taskset-meta-${part.group}`
    const keys = [`${base}.j`, `${base}.s`, `${base}.t`]
    const member = `[1, ${JSON.stringify(part.id)}, "${state}", ${result ?? 'null'}]`
    const [members, size, added] = (await connection.run(PART, keys, [part.index ?? '+inf', member, ttlSeconds])) as Counted
    if (size === null || members !== Number(size) + Number(added ?? 0)) return
    const collected = await collect(base, keys[0]!)
    if ('problem' in collected) return end(failed(part, collected.problem, message))
    await end(bodyOf(part, collected.values, message))
    await connection.pipeline([['DEL', ...keys]])
  }

  /**
   * Collects the results of a chord's header. If the header contains groups, the client saved its structure. Any other header is
   * the list of its members.
   */
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

  /**
   * Plans the body with a token as its argument, then replaces the token by the JSON texts of the results. So the results are
   * not changed by parsing.
   */
  const bodyOf = (part: ChordPart, values: readonly string[], last: Message): End => {
    const token = randomUUID()
    try {
      const plan = planner.planSignature(part.body, [token], lineageOf(part, last))
      return { plan: withText(plan, JSON.stringify(token), `[${values.join(', ')}]`), outcomes: [] }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      return failed(part, `Callback error: ${error.message}`, last)
    }
  }

  /**
   * Ends a failed chord as Celery does: the body gets the outcome FAILURE, and its errbacks are sent. The counters expire by
   * themselves.
   */
  const failed = (part: ChordPart, reason: string, last: Message): End => {
    log.error({ chord: part.group, task: part.body.task, reason }, 'chord failed, its body is not run')
    return failBody(part.body, reason, { of: lineageOf(part, last), planner, chordId: part.group })
  }

  return {
    async partReturn(message, { id, state, result }) {
      if (!READY_STATES.has(state)) return
      for (const part of partsOf(message, { id, state })) await count(part, { message, state, result })
    },
  }
}

interface ReadyMember extends Pick<Outcome, 'state' | 'result'> {
  readonly message: Message
}

type Counted = [count: number, size: string | null, added: string | null]

const lineageOf = ({ id }: ChordPart, { headers }: Message) => ({ parentId: id, rootId: headers.root_id ?? headers.id })

/** Replaces the token in the messages of a plan. No other part of the plan contains the token. */
const withText = (plan: Plan, token: string, text: string): Plan => ({
  ...plan,
  messages: plan.messages.map((message) => ({ ...message, body: message.body.replaceAll(token, () => text) })),
})

/** Matches a member, `[1, "id", "STATE", value]`. The value is cut out as text, so that parsing does not change its numbers. */
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
