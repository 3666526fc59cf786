import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import type { Database } from '../../../src/database/database.ts'
import { startWokenLoop, type WokenLoop, type WokenLoopOptions } from '../../../src/database/woken-loop.ts'
import { createLog } from '../../../src/log.ts'
import { until } from '../../support/until.ts'

const lost = () => Object.assign(new Error('the connection is gone'), { code: '57P01' })

/** A database that only listens: `say` is a NOTIFY, `reconnect` what follows a lost connection. */
function createListening(failures: Error[] = []) {
  const heard: { onNotify: (payload: string) => void; onConnected: (() => void) | undefined }[] = []
  let stopped = 0
  const listener = {
    async listen(_channel: string, onNotify: (payload: string) => void, onConnected?: () => void) {
      const failure = failures.shift()
      if (failure !== undefined) throw failure
      heard.push({ onNotify, onConnected })
      return { stop: async () => void stopped++ }
    },
  }
  return {
    database: { listener } as unknown as Database,
    isListening: () => heard.length > stopped,
    say: () => heard[0]!.onNotify(''),
    reconnect: () => heard[0]!.onConnected?.(),
  }
}

const loops: WokenLoop[] = []
afterEach(async () => {
  for (const loop of loops.splice(0)) await loop.stop()
})

/** A loop over `passes`, each of which says how it ends; the last one goes on for ever. */
async function start(
  listening: ReturnType<typeof createListening>,
  pass: (count: number) => number | Promise<number>,
  maxSleepMs = 60_000,
) {
  const lines: Record<string, unknown>[] = []
  const log = createLog({ level: 'debug', format: 'json' }, { write: (line) => void lines.push(JSON.parse(line)) })
  const seen = { passes: 0, lines }
  const options: WokenLoopOptions = {
    log,
    maxSleepMs,
    channel: 'c',
    pass: async () => pass(++seen.passes),
    words: { failed: 'failed', restored: 'restored' },
  }
  const loop = startWokenLoop(listening.database, options)
  loops.push(loop)
  await until('listening', listening.isListening)
  // The pass that follows listening, because what was said before was not heard.
  await until('two passes', () => seen.passes >= 2)
  return Object.assign(loop, seen, { count: () => seen.passes })
}

const LONG = 60_000

describe('a woken loop', () => {
  test('runs the next pass when the requested time is up', async () => {
    const loop = await start(createListening(), (count) => (count === 2 ? 20 : LONG))
    await until('a third pass', () => loop.count() === 3)
  })

  test('runs the next pass at once if there is more to do', async () => {
    const loop = await start(createListening(), (count) => (count < 50 ? 0 : LONG))
    await until('fifty passes', () => loop.count() === 50)
  })

  test('never pauses longer than the maximum', async () => {
    const loop = await start(createListening(), () => Number.POSITIVE_INFINITY, 20)
    await until('five passes', () => loop.count() >= 5)
  })

  test('runs a pass for a notification, also for one that arrives during a pass', async () => {
    const listening = createListening()
    const loop = await start(listening, async (count) => {
      if (count === 3) listening.say()
      return LONG
    })
    listening.say()
    await until('the pass of the notification, and that of the one during it', () => loop.count() === 4)
  })

  test('answers a thousand notifications in a few passes and does not miss the last one', async () => {
    const listening = createListening()
    let saidLast = false
    let seenLast = false
    const loop = await start(listening, () => {
      seenLast = saidLast
      return LONG
    })
    for (let burst = 0; burst < 50; burst++) {
      for (let said = 0; said < 20; said++) listening.say()
      await delay(1)
    }
    saidLast = true
    listening.say()
    await until('the last one', () => seenLast)
    expect(loop.count()).toBeLessThan(30)
  })

  test('repeats a failed pass, logs the failure once, and logs the first success after it', async () => {
    const loop = await start(createListening(), (count) => {
      if (count === 3 || count === 4) throw lost()
      return count === 2 ? 1 : LONG
    })
    await until('success', () => loop.lines.some(({ msg }) => msg === 'restored'))
    expect(loop.lines.map(({ level, msg }) => [level, msg])).toEqual([
      ['warn', 'failed'],
      ['info', 'restored'],
    ])
    expect(loop.count()).toBe(5)
  })

  test('logs the stack of a failure that is not a lost connection, and continues', async () => {
    const loop = await start(createListening(), (count) => {
      if (count === 3) throw new TypeError('a bug')
      return count === 2 ? 1 : LONG
    })
    await until('success', () => loop.lines.some(({ msg }) => msg === 'restored'))
    expect(loop.lines[0]).toMatchObject({ level: 'error', msg: 'failed', err: { type: 'TypeError', message: 'a bug' } })
  })

  test('ends the pause after a failure early when the connection is restored, but not for a notification', async () => {
    const listening = createListening()
    const loop = await start(listening, (count) => {
      if (count >= 3 && count < 10) throw lost()
      return count === 2 ? 1 : LONG
    })
    await until('a failure', () => loop.count() === 3)
    const since = performance.now()
    for (let said = 0; said < 5; said++) {
      listening.say()
      await delay(5)
    }
    expect([loop.count(), performance.now() - since < 100]).toEqual([3, true])
    while (loop.count() < 10) {
      listening.reconnect()
      await delay(1)
    }
    expect(performance.now() - since).toBeLessThan(2000) // 7 pauses of back-off alone are 12 s
  })

  test('finishes the running pass when it stops, and starts no other pass', async () => {
    const listening = createListening()
    let finish = () => {}
    let finished = false
    const loop = await start(listening, async (count) => {
      if (count < 3) return 1
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      finished = true
      return 0
    })
    await until('the pass', () => loop.count() === 3)
    const stopped = loop.stop()
    listening.say()
    finish()
    await stopped
    expect([finished, loop.count(), listening.isListening()]).toEqual([true, 3, false])
  })

  test('starts while the server is unavailable, and listens when the server is available', async () => {
    const loop = await start(createListening([lost(), lost()]), () => LONG)
    expect(loop.count()).toBeGreaterThanOrEqual(2)
  })
})
