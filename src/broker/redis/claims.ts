import { type Command, type RedisConnection, scriptCommand } from './connection.ts'
import type { RedisKeys } from './keys.ts'
import { ACK, ACK_MINE, GIVE_BACK, TAKE } from './scripts.ts'
import { REMEMBER_DEATHS_S } from './worker.ts'

/** Bytes of one claim, but for its last message: all of them lie in memory at once. */
const MAX_TAKE_BYTES = 4 * 1024 * 1024
/** Between the tags of one argument. */
const SPACE = ' '
const isOdd = (tag: string) => tag === '' || tag.includes(SPACE)

/** The answer to `take`. Lists in the order of the question; `deaths` is empty where nobody died with any message of the server. */
export type Taken = readonly [broken: number, counts: readonly number[], deaths: readonly number[], messages: readonly string[]]

export interface GivenBack {
  readonly tag: string
  /** 1: its return counts as a death. */
  readonly deaths: number
}

/** What one worker says to the server about the messages that it holds. Commands are for `RedisConnection.pipeline`. */
export interface RedisClaims {
  take(lists: readonly string[], count: number, firstNumber: number): Command
  ack(tags: readonly string[]): Command
  /** Answered 1 when this worker still held it, and 0 when it is in other hands. */
  ackMine(tag: string): Command
  giveBack(given: readonly GivenBack[]): Command
  /** Tags of all that the server thinks this worker holds. */
  held(): Promise<string[]>
  /** Messages without a tag, which the server keeps for this worker: what they were, and from which list. */
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
    // HOT: one argument, because hundreds of them cost the client more than anything else that it says.
    ack(tags) {
      const odd = tags.filter(isOdd)
      const plain = odd.length === 0 ? tags : tags.filter((tag) => !isOdd(tag))
      return scriptCommand(ACK, [keys.unacked, keys.index, keys.deaths, held, begun], [plain.join(SPACE), ...odd])
    },
    ackMine: (tag) => scriptCommand(ACK_MINE, [keys.unacked, keys.index, keys.deaths, held, begun], [tag]),
    giveBack: (given) =>
      scriptCommand(
        GIVE_BACK,
        [keys.unacked, keys.index, keys.deaths, held, begun, keys.sleepers],
        [keys.wakeChannel, REMEMBER_DEATHS_S, ...given.flatMap(({ tag, deaths }) => [tag, deaths])],
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
