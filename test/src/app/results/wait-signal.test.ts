import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../../../src/app/app.ts'
import type { Backend } from '../../../../src/app/backend.ts'

const DONE = { id: 'i', task: 't', state: 'SUCCESS', result: 1 }
const HOUR_MS = 3_600_000
const GETS = 20_000

/** An application whose results are there at once. Waiting adds an abort listener and removes it. */
const answered = () =>
  createRegistry(async () => {
    const wait = async (_id: string, signal: AbortSignal) => {
      const onAbort = () => {}
      signal.addEventListener('abort', onAbort, { once: true })
      signal.removeEventListener('abort', onAbort)
      return DONE
    }
    return { wait, group: async () => ['a', 'b'] } as unknown as Backend
  })

describe('waiting for a result with a long timeout', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heldMb = async () => {
    for (let n = 0; n < 3; n++) {
      await new Promise((resolve) => setImmediate(resolve))
      collect()
    }
    return process.memoryUsage().heapUsed / 1e6
  }

  it('keeps no memory after the result has arrived', async () => {
    const app = answered()
    const { signal } = new AbortController()
    const group = await app.groupResult('g')
    const get = async (n: number) => {
      await app.asyncResult('i').get({ timeoutMs: HOUR_MS, ...(n % 2 === 0 && { signal }) })
      if (n % 10 === 0) await group!.get({ timeoutMs: HOUR_MS, signal })
    }
    await get(0)
    const before = await heldMb()
    for (let n = 0; n < GETS; n++) {
      await get(n)
      if (n % 1000 === 0) await heldMb()
    }
    expect((await heldMb()) - before).toBeLessThan(6)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  }, 60_000)
})
