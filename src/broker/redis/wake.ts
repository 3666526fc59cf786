import type { Redis } from 'ioredis'
import type { Log } from '../../log.ts'
import { type Command, isRedisConnectionError, type RedisConnection } from './connection.ts'
import type { RedisKeys } from './keys.ts'

/** If the server refuses `CLIENT TRACKING`, lists are polled at this interval, as kombu always does. Milliseconds. */
const POLL_EVERY_MS = 1000

const INVALIDATED = '__redis__:invalidate'

export interface RedisWake {
  /**
   * Returns commands to send with a claim. After these commands, the next change of one of the lists wakes the worker once. The
   * last reply is the number of non-empty lists.
   */
  arm(lists: readonly string[]): Command[]
  stop(): void
}

/**
 * Wakes consumers after a push by any producer, Python included, on any number of lists, without polling. With `CLIENT TRACKING`
 * the server remembers the keys that the connection for commands read, and notifies the listening connection of the next change
 * of each key (redis.io, "Client-side caching"). The command is made for caches, but it is the only way to wait for several
 * lists without taking messages from them.
 */
export async function createRedisWake(
  commands: RedisConnection,
  listening: RedisConnection,
  keys: RedisKeys,
  log: Log,
  wake: () => void,
): Promise<RedisWake> {
  let listenerId: number | undefined
  let tracked = false
  let refused = false
  let timer: NodeJS.Timeout | undefined

  const refuse = ({ message }: Error) => {
    if (refused) return
    refused = true
    log.info({ reason: message }, 'Redis refuses CLIENT TRACKING, so messages of other producers are polled every second')
  }

  const track = async (client: Redis) => {
    if (listenerId === undefined || refused) return
    try {
      await client.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', listenerId, 'OPTIN')
      tracked = true
    } catch (error) {
      // The listening connection has just been lost. `track` runs again when it is back.
      if (isRedisConnectionError(error) || (error as Error).message.includes('does not exist')) return
      refuse(error as Error)
    }
    wake()
  }

  const onListening = async (client: Redis) => {
    try {
      await client.subscribe(INVALIDATED, keys.wakeChannel)
      listenerId = await connectionId(commands, listening.name)
    } catch (error) {
      if (isRedisConnectionError(error)) return
      refuse(error as Error)
    }
    if (!commands.closed) await commands.ready().then(track, () => {})
    wake()
  }

  const stops = [
    commands.onReady((client) => {
      tracked = false
      void track(client)
    }),
  ]
  stops.push(listening.onReady((client) => void onListening(client)))
  const first = await listening.ready()
  const onMessage = (channel: string) => {
    if (channel === INVALIDATED || channel === keys.wakeChannel) wake()
  }
  first.on('message', onMessage)
  await onListening(first)

  return {
    arm(lists) {
      const exists: Command = ['EXISTS', ...lists]
      if (tracked) return [['CLIENT', 'CACHING', 'YES'], exists]
      timer ??= setTimeout(() => {
        timer = undefined
        wake()
      }, POLL_EVERY_MS)
      return [['SET', keys.sleepers, '', 'PX', POLL_EVERY_MS * 2], exists]
    },
    stop() {
      clearTimeout(timer)
      for (const stop of stops) stop()
      first.off('message', onMessage)
    },
  }
}

/**
 * Returns the id of the connection with this name. The query uses another connection, because a connection with subscriptions
 * (control.ts) accepts no other commands.
 */
async function connectionId(asking: RedisConnection, name: string): Promise<number | undefined> {
  const [list] = await asking.pipeline([['CLIENT', 'LIST']])
  const line = String(list)
    .split('\n')
    .find((each) => each.includes(` name=${name} `))
  return line === undefined ? undefined : Number(/\bid=(\d+)/.exec(line)?.[1])
}
