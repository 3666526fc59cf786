import { createMutex } from '../concurrency/mutex.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/**
 * A number of places over all processes, each held as a session advisory lock on the connection that a process keeps open anyway: the
 * server frees them the moment the connection ends, so who is killed leaves nothing behind.
 */
export interface Slots {
  /** How many this process has; 0 while its connection is away. */
  held(key: string): number
  /** Tries to have so many of the places 1 … `of`. Without a statement when there is nothing to try. @returns how many it has then */
  take(key: string, wanted: number, of: number): Promise<number>
  /** Lets go of all. @returns false while the connection is away: should it come back, they are taken again, and this is to be repeated */
  release(key: string): Promise<boolean>
  close(): Promise<void>
}

/** After a reconnection those who had places get time to take them again, so that a restart of the server moves no work. */
const OTHERS_AFTER_RECONNECT_MS = 3000

export async function createSlots(database: Database): Promise<Slots> {
  const { listener, schema, qualify } = database
  const places = new Map<string, Set<number>>()
  let connected = false
  let othersNotBefore = 0
  let closed = false

  const lockKey = (key: string) => `${schema}.${key}`

  await listener.session(async (client) => {
    if (connected) othersNotBefore = performance.now() + OTHERS_AFTER_RECONNECT_MS
    connected = true
    if (closed) return
    const { name, text } = qualify(sql('slot-lock'))
    for (const [key, slots] of places) {
      const { rows } = await client.query<{ slot: number }>({ name, text, values: [lockKey(key), [...slots]] })
      places.set(key, new Set(rows.map(({ slot }) => slot)))
    }
  })

  /** A connection of pg takes one statement at a time. */
  const statements = createMutex()
  const run = (name: string, key: string, slots: readonly number[]) =>
    statements.run(() => listener.query(qualify(sql(name)).text, [lockKey(key), slots]))
  const held = (key: string) => (listener.connected ? (places.get(key)?.size ?? 0) : 0)

  const release = async (key: string): Promise<boolean> => {
    const mine = [...(places.get(key) ?? [])]
    if (mine.length === 0) return true
    if (!listener.connected) return false
    places.delete(key)
    await run('slot-unlock', key, mine)
    return true
  }

  return {
    held,
    async take(key, wanted, of) {
      if (held(key) >= wanted || closed) return Math.min(held(key), wanted)
      if (!listener.connected || performance.now() < othersNotBefore) return held(key)
      const mine = places.get(key) ?? new Set<number>()
      const free = Array.from({ length: of }, (_, index) => index + 1).filter((slot) => !mine.has(slot))
      const got = (await run('slot-lock', key, free)).map(({ slot }) => slot as number)
      // A reconnection meanwhile has taken again what was known then.
      const now = places.get(key) ?? new Set<number>()
      const room = Math.max(0, wanted - now.size)
      for (const slot of got.slice(0, room)) now.add(slot)
      places.set(key, now)
      if (got.length > room) await run('slot-unlock', key, got.slice(room))
      return held(key)
    },
    release,
    async close() {
      closed = true
      for (const key of [...places.keys()]) await release(key).catch(() => {})
    },
  }
}
