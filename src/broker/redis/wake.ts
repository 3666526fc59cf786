import type { Redis } from 'ioredis'
import type { Log } from '../../log.ts'
import { type Command, isRedisConnectionError, type RedisConnection } from './connection.ts'
import type { RedisKeys } from './keys.ts'

/** Where the server cannot tell us of pushes by others (`CLIENT TRACKING` refused), it is asked this often, as kombu does always. */
const ASK_EVERY_MS = 1000

const INVALIDATED = '__redis__:invalidate'

export interface RedisWake {
  /** Commands to send with a claim: from then on the next change of one of the lists wakes, once. The last reply: lists that hold something. */
  arm(lists: readonly string[]): Command[]
  stop(): void
}

/**
 * Wakes a consumer whoever pushes, a Python producer too, on any number of lists, without asking again and again: `CLIENT TRACKING` makes
 * the server remember which keys this connection has read, and tell of the next change of each (redis.io, "Client-side caching": made for
 * caches, it is the only way to wait for several lists without taking from them). Told on the second connection, which waits for it.
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
    log.info(
      { reason: message },
      'this Redis does not tell of changes (CLIENT TRACKING), so messages of other producers are looked for every second',
    )
  }

  const track = async (client: Redis) => {
    if (listenerId === undefined || refused) return
    try {
      await client.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', listenerId, 'OPTIN')
      tracked = true
    } catch (error) {
      // The listening connection may just have gone; it comes back and calls this again.
      if (isRedisConnectionError(error) || (error as Error).message.includes('does not exist')) return
      refuse(error as Error)
    }
    wake()
  }

  const onListening = async (client: Redis) => {
    try {
      await client.subscribe(INVALIDATED, keys.wakeChannel)
      listenerId = await idOf(commands, listening.name)
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
      const look: Command = ['EXISTS', ...lists]
      if (tracked) return [['CLIENT', 'CACHING', 'YES'], look]
      timer ??= setTimeout(() => {
        timer = undefined
        wake()
      }, ASK_EVERY_MS)
      return [['SET', keys.sleepers, '', 'PX', ASK_EVERY_MS * 2], look]
    },
    stop() {
      clearTimeout(timer)
      for (const stop of stops) stop()
      first.off('message', onMessage)
    },
  }
}

/** Asked on another connection: the one that is meant may be subscribed already (redis-control.ts), and then answers nothing else. */
async function idOf(asking: RedisConnection, name: string): Promise<number | undefined> {
  const [list] = await asking.pipeline([['CLIENT', 'LIST']])
  const line = String(list)
    .split('\n')
    .find((each) => each.includes(` name=${name} `))
  return line === undefined ? undefined : Number(/\bid=(\d+)/.exec(line)?.[1])
}
