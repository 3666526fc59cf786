import { type Command, type RedisConnection, scriptCommand } from './connection.ts'
import type { RedisKeys } from './keys.ts'
import { ACK, ACK_MINE, REQUEUE, TAKE } from './scripts.ts'
import { REMEMBER_DEATHS_S } from './worker.ts'

/** Most bytes of one claim, because all its messages are in memory at once. The last message may exceed the limit. */
const MAX_TAKE_BYTES = 4 * 1024 * 1024
/** Separates the tags in one argument of a script. */
const SPACE = ' '
const isOdd = (tag: string) => tag === '' || tag.includes(SPACE)

/**
 * The answer to `take`. `counts` has the order of the requested lists. `deaths` is empty unless workers died while they held
 * messages of this server.
 */
export type Taken = readonly [broken: number, counts: readonly number[], deaths: readonly number[], messages: readonly string[]]

export interface Requeue {
  readonly tag: string
  /** 1 if the requeue counts as a death of a worker that held this message, else 0. */
  readonly deaths: number
}

/** The requests of one worker about its messages. The returned commands are for `RedisConnection.pipeline`. */
export interface RedisClaims {
  take(lists: readonly string[], count: number, firstNumber: number): Command
  ack(tags: readonly string[]): Command
  /** Acknowledges a message before it runs. The answer is 1 if this worker still held the message, 0 if another worker has it. */
  ackIfHeld(tag: string): Command
  requeue(items: readonly Requeue[]): Command
  /** Returns the tags of all messages that this worker holds according to the server. */
  held(): Promise<string[]>
  /**
   * Returns the texts without a delivery tag, which the server keeps in a list of this worker, each with the queue's list that
   * it came from.
   */
  broken(): Promise<{ entry: string; list: string; text: string }[]>
  removeBroken(entry: string): Promise<void>
}

export function createRedisClaims(connection: RedisConnection, keys: RedisKeys, worker: string): RedisClaims {
  const [held, begun, broken] = [keys.held(worker), keys.begun(worker), keys.broken(worker)]
  return {
    take: (lists, count, firstNumber) =>
      scriptCommand(
        TAKE,
        [keys.unacked, keys.index, keys.deaths, keys.workers, held, broken, ...lists],
        [worker, count, MAX_TAKE_BYTES, firstNumber],
      ),
    // HOT: all tags are one argument, because hundreds of arguments cost the client more time than all its other requests.
    ack(tags) {
      const odd = tags.filter(isOdd)
      const plain = odd.length === 0 ? tags : tags.filter((tag) => !isOdd(tag))
      return scriptCommand(ACK, [keys.unacked, keys.index, keys.deaths, held, begun], [plain.join(SPACE), ...odd])
    },
    ackIfHeld: (tag) => scriptCommand(ACK_MINE, [keys.unacked, keys.index, keys.deaths, held, begun], [tag]),
    requeue: (items) =>
      scriptCommand(
        REQUEUE,
        [keys.unacked, keys.index, keys.deaths, held, begun, keys.sleepers],
        [keys.wakeChannel, REMEMBER_DEATHS_S, ...items.flatMap(({ tag, deaths }) => [tag, deaths])],
      ),
    held: async () => (await connection.pipeline([['HKEYS', held]]))[0] as string[],
    async broken() {
      const [entries] = await connection.pipeline([['LRANGE', broken, 0, -1]])
      return (entries as string[]).map((entry) => {
        const line = entry.indexOf('\n')
        return { entry, list: entry.slice(0, line), text: entry.slice(line + 1) }
      })
    },
    async removeBroken(entry) {
      await connection.pipeline([['LREM', broken, 1, entry]])
    },
  }
}
