import { describe, expect, expectTypeOf, it } from 'vitest'
import { createRegistry } from '../../../src/app/app.ts'
import type { TaskContext } from '../../../src/app/task-context.ts'
import type { Broker, ConsumeOptions, Consumer, Delivery } from '../../../src/broker/broker.ts'
import { silentLog } from '../../../src/log.ts'
import { createMessage } from '../../../src/message/message.ts'
import { startWorker } from '../../../src/worker/worker.ts'
import { until } from '../../support/until.ts'

/** A broker that delivers the given messages and records the calls to its consumer. */
function createFakeBroker() {
  const calls: string[] = []
  let handOut: ConsumeOptions['onDeliveries'] = () => {}
  const consumer = {
    finish: ({ tag }: Delivery, outcome: { state: string } | null) => void calls.push(`${tag} ${outcome?.state ?? 'done'}`),
    requeue: ({ tag }: Delivery) => void calls.push(`${tag} requeued`),
    started() {},
    begin: async () => {},
    stop: async () => {},
    flush: async () => {},
    close: async () => {},
  } as unknown as Consumer
  const consume = async (options: ConsumeOptions) => {
    handOut = options.onDeliveries
    return consumer
  }
  const broker = { kind: 'amqp', consume } as unknown as Broker
  return { broker, calls, deliver: (...deliveries: Delivery[]) => handOut(deliveries) }
}

const delivery = (tag: string): Delivery => ({
  message: createMessage({ id: 'same', task: 'held', args: [] }),
  deliveries: 1,
  tag,
})

describe('a duplicate of a message that runs', () => {
  const start = async () => {
    const { broker, calls, deliver } = createFakeBroker()
    const app = createRegistry(() => Promise.reject(new Error('no connections')))
    let release = () => {}
    app.task('held', () => new Promise<void>((resolve) => (release = resolve)))
    const options = { name: 'celery@test', queues: ['celery'], concurrency: 4, maxDeliveries: 3, graceMs: 20 }
    const worker = await startWorker({ ...options, app, broker, log: silentLog() })
    deliver(delivery('first'), delivery('second'))
    return { worker, calls, release: () => release() }
  }

  it('is acknowledged when the running message has its outcome', async () => {
    const { worker, calls, release } = await start()
    release()
    await until('the end', () => worker.running === 0)
    expect(calls).toEqual(['first SUCCESS', 'second done'])
    await worker.stop()
  })

  it('is requeued together with the running message, because it may be the only copy that the broker still has', async () => {
    const { worker, calls } = await start()
    await worker.stop()
    expect(calls).toEqual(['first requeued', 'second requeued'])
  })
})

describe('a parked message', () => {
  it('is requeued when it is delivered again before the outbox has answered, because it is the only copy', async () => {
    const { broker, calls, deliver } = createFakeBroker()
    const app = createRegistry(() => Promise.reject(new Error('no connections')))
    app.task('held', () => 1)
    let kept = () => {}
    const park = () => new Promise<void>((resolve) => (kept = resolve))
    const options = { name: 'celery@test', queues: ['celery'], concurrency: 4, maxDeliveries: 3, graceMs: 20, park }
    const worker = await startWorker({ ...options, app, broker, log: silentLog() })
    const early = createMessage({ id: 'same', task: 'held', args: [], eta: new Date(Date.now() + 60_000) })
    deliver({ ...delivery('first'), message: early }, delivery('again'))
    kept()
    await until('the end', () => worker.running === 0)
    expect(calls).toEqual(['first done', 'again requeued'])
    await worker.stop()
  })
})

describe('hooks of a task', () => {
  it('receive the argument and result types of the function of their task', () => {
    const app = createRegistry(() => Promise.reject(new Error('no connections')))
    const add = app.task('add', async (x: number, y: string) => `${x}${y}`, {
      onSuccess(context, args, result) {
        expectTypeOf(context).toEqualTypeOf<TaskContext>()
        expectTypeOf(args).toEqualTypeOf<[x: number, y: string]>()
        expectTypeOf(result).toEqualTypeOf<string>()
      },
      onFailure: (_context, args, error) => {
        expectTypeOf(args).toEqualTypeOf<[x: number, y: string]>()
        expectTypeOf(error).toEqualTypeOf<unknown>()
      },
    })
    expectTypeOf(add.delay).parameters.toEqualTypeOf<[x: number, y: string]>()
    const bound = app.task('bound', ({ retry }: TaskContext, x: boolean) => (x ? 1 : retry()), {
      bind: true,
      onSuccess: (_context, args, result) => {
        expectTypeOf(args).toEqualTypeOf<[x: boolean]>()
        expectTypeOf(result).toEqualTypeOf<number>()
      },
    })
    expectTypeOf(bound.delay).parameters.toEqualTypeOf<[x: boolean]>()
    // @ts-expect-error a hook for other arguments does not compile
    void (() => app.task('wrong', (x: number) => x, { onSuccess: (_context, args: [string]) => args }))
    // @ts-expect-error a policy that is none does not compile
    void (() => app.task('wrong', () => 1, { autoretryFor: 'Error' }))
  })
})
