import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Delivery } from '../../../../src/broker/broker.ts'
import { createMessage } from '../../../../src/message/message.ts'
import { createLoopWatch, type OwnLoopWatch } from '../../../../src/worker/watchdog/loop-watch.ts'
import { until } from '../../../support/until.ts'

let lines: Record<string, unknown>[]
let inFlight: Delivery[]
let guarded: [id: string, limitMs: number][]
let watch: OwnLoopWatch

const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) })
const delivery = (id: string, task = 'a.task'): Delivery => ({
  message: createMessage({ id, task, args: [] }),
  deliveries: 1,
  tag: id,
})
const block = (ms: number) => {
  for (const end = performance.now() + ms; performance.now() < end; );
}

const make = (blockedMs: number) =>
  createLoopWatch({
    log,
    blockedMs,
    inFlight: () => inFlight,
    isOnLoop: ({ message }) => message.headers.task !== 'thread.task',
    watchdog: () => ({
      beat() {},
      begun: ({ message }, limitMs) => void guarded.push([message.headers.id, limitMs]),
      ended() {},
      entered() {},
      left() {},
      guards: () => false,
      settled() {},
      close: async () => {},
    }),
  })

beforeEach(() => {
  lines = []
  inFlight = []
  guarded = []
  watch = make(250)
})
afterEach(() => watch.close())

/** Calls the watch as the executor and the runner do. */
async function run(one: Delivery, work: () => unknown) {
  inFlight.push(one)
  watch.begun(one, undefined)
  watch.enter(one)
  const result = work()
  watch.leave(one, Promise.resolve())
  await result
  watch.ended(one)
  inFlight = inFlight.filter((other) => other !== one)
}

describe('a task that blocks the event loop', () => {
  it('is logged with its name and the blocked time if it blocks at its start', async () => {
    await run(delivery('one'), () => block(400))
    expect(lines).toMatchObject([{ level: 40, msg: expect.stringContaining('blocked by a task'), task: 'a.task', id: 'one' }])
    expect(Number(lines[0]?.ms)).toBeGreaterThanOrEqual(400)
    await delay(300)
    expect(lines).toHaveLength(1)
  })
  it('is logged with its name if it blocks just before its end, although the timer did not fire', async () => {
    const beside = delivery('beside')
    inFlight.push(beside)
    watch.begun(beside, undefined)
    await run(delivery('two'), async () => {
      await delay(80)
      block(400)
    })
    expect(lines).toMatchObject([{ task: 'a.task', id: 'two', inFlight: 'a.task[beside]' }])
    await delay(300)
    expect(lines).toHaveLength(1)
  })
  it('is among the logged tasks if it blocks between two awaits', async () => {
    const thread = delivery('elsewhere', 'thread.task')
    inFlight.push(thread)
    await run(delivery('three'), async () => {
      await delay(80)
      block(400)
      await until('the line', () => lines.length > 0)
    })
    expect(lines).toMatchObject([{ inFlight: 'a.task[three]' }])
    expect(Number(lines[0]?.ms)).toBeGreaterThanOrEqual(250)
  })
  it('is not confused with a task in a thread that ends at the same moment', async () => {
    const thread = delivery('elsewhere', 'thread.task')
    inFlight.push(thread, delivery('here'))
    watch.begun(thread, undefined)
    await delay(80)
    block(400)
    watch.ended(thread)
    expect(lines).toMatchObject([{ inFlight: 'a.task[here]' }])
    expect(lines[0]).not.toHaveProperty('id')
  })
  it('is not logged if it blocks for less than the threshold', async () => {
    await run(delivery('four'), async () => {
      block(40)
      await delay(20)
      block(40)
      await delay(20)
    })
    expect(lines).toEqual([])
  })
  it('is not logged when the threshold is 0', async () => {
    watch = make(0)
    await run(delivery('five'), () => block(400))
    await delay(80)
    expect(lines).toEqual([])
  })
})

describe('the watchdog', () => {
  it.each([
    ['watches a task with a hard limit', 'a.task', 5000, 1],
    ['does not watch a task without a hard limit', 'a.task', undefined, 0],
    ['does not watch a task in a thread, which can be ended', 'thread.task', 5000, 0],
  ])('%s', (_what, task, limitMs, times) => {
    watch.begun(delivery('six', task), limitMs)
    expect(guarded).toHaveLength(times)
  })
})
