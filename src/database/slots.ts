import { createMutex } from '../concurrency/mutex.ts'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

/**
 * Slots that all processes share. A process holds a slot as a session advisory lock on the connection that it keeps open anyway.
 * The server frees the locks when the connection ends, so a killed process leaves nothing behind.
 */
export interface Slots {
  /** Returns the number of slots that this process holds; 0 while its connection is away. */
  held(key: string): number
  /**
   * Tries to hold `wanted` of the slots 1 … `of`. Sends no statement if this process holds them already.
   * @returns the number of slots that it holds afterwards
   */
  take(key: string, wanted: number, of: number): Promise<number>
  /**
   * Releases all slots of a key.
   * @returns false while the connection is away: a new connection would take the slots again, so call this again
   */
  release(key: string): Promise<boolean>
  close(): Promise<void>
}

/**
 * Milliseconds. After a reconnection the former holders get this time to take their slots again, so that a restart of the server
 * moves no work.
 */
const OTHERS_AFTER_RECONNECT_MS = 3000

export async function createSlots(database: Database): Promise<Slots> {
  const { listener, schema, qualify } = database
  const slotsByKey = new Map<string, Set<number>>()
  let connected = false
  let othersNotBefore = 0
  let closed = false

  const lockKey = (key: string) => `${schema}.${key}`

  await listener.session(async (client) => {
    if (connected) othersNotBefore = performance.now() + OTHERS_AFTER_RECONNECT_MS
    connected = true
    if (closed) return
    const { name, text } = qualify(sql('slot-lock'))
    for (const [key, slots] of slotsByKey) {
      const { rows } = await client.query<{ slot: number }>({ name, text, values: [lockKey(key), [...slots]] })
      slotsByKey.set(key, new Set(rows.map(({ slot }) => slot)))
    }
  })

  /** A connection of pg runs one statement at a time. */
  const statements = createMutex()
  const run = (name: string, key: string, slots: readonly number[]) =>
    statements.run(() => listener.query(qualify(sql(name)).text, [lockKey(key), slots]))
  const held = (key: string) => (listener.connected ? (slotsByKey.get(key)?.size ?? 0) : 0)

  const release = async (key: string): Promise<boolean> => {
    const mine = [...(slotsByKey.get(key) ?? [])]
    if (mine.length === 0) return true
    if (!listener.connected) return false
    slotsByKey.delete(key)
    await run('slot-unlock', key, mine)
    return true
  }

  return {
    held,
    async take(key, wanted, of) {
      if (held(key) >= wanted || closed) return Math.min(held(key), wanted)
      if (!listener.connected || performance.now() < othersNotBefore) return held(key)
      const mine = slotsByKey.get(key) ?? new Set<number>()
      const free = Array.from({ length: of }, (_, index) => index + 1).filter((slot) => !mine.has(slot))
      const got = (await run('slot-lock', key, free)).map(({ slot }) => slot as number)
      // If the connection was replaced during the statement, the new connection has taken the known slots again.
      const now = slotsByKey.get(key) ?? new Set<number>()
      const room = Math.max(0, wanted - now.size)
      for (const slot of got.slice(0, room)) now.add(slot)
      slotsByKey.set(key, now)
      if (got.length > room) await run('slot-unlock', key, got.slice(room))
      return held(key)
    },
    release,
    async close() {
      closed = true
      for (const key of [...slotsByKey.keys()]) await release(key).catch(() => {})
    },
  }
}
