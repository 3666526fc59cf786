import { expect, it } from 'vitest'
import type { TaskContext } from '../../../src/app/task-context.ts'
import { Ignore, Reject } from '../../../src/app/task-errors.ts'
import { createMessage } from '../../../src/message/message.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

const APP = 'test/fixtures/apps/acks.ts'

onEveryBroker('an early acknowledgement', (at) => {
  const waiting = async () => {
    const [depth] = await at.broker.depths(['celery'])
    return depth!.ready + depth!.running
  }

  it('happens before the code of the task runs, and the outcome of the task is stored afterwards', async () => {
    const left: number[] = []
    const task = at.app.task(
      'early',
      async (x: number) => {
        left.push(await waiting())
        return x + 1
      },
      { acks: 'early' },
    )
    await at.work()
    expect(await (await task.delay(1)).get({ timeoutMs: 5000 })).toBe(2)
    // RabbitMQ does not report unacknowledged messages.
    expect(left).toEqual([0])
  })

  it('keeps a task from running again when its worker is killed', async () => {
    const first = await at.process(APP)
    const { id } = await at.app.sendTask('acks.early', [])
    await until('it runs', () => first.output().includes('acks.early runs'))
    first.kill('SIGKILL')
    await first.exited
    // RabbitMQ does not report unacknowledged messages. There a redelivered message would come before one that is sent now.
    expect(await waiting()).toBe(0)
    const second = await at.process(APP, { env: { HOLD: 'no' }, args: ['-c', '1'] })
    const later = await at.app.sendTask('acks.late', [])
    expect(await at.ended(later.id, 30_000)).toMatchObject({ result: 'late' })
    expect(second.output()).not.toContain('acks.early runs')
    expect((await at.results.find(id))?.state ?? 'PENDING').not.toBe('SUCCESS')
  })

  it('makes a task end as FAILURE when its worker stops before the task ends', async () => {
    const task = at.app.task('endless', () => new Promise(() => {}), { acks: 'early' })
    const worker = await at.work({ graceMs: 50 })
    const { id } = await task.delay()
    await until('it runs', async () => (await task.asyncResult(id).state()) === 'STARTED')
    await worker.stop()
    expect(await task.asyncResult(id).info()).toMatchObject({ state: 'FAILURE', result: { exc_type: 'WorkerLostError' } })
    expect(await waiting()).toBe(0)
  })

  it('allows a retry, which is a new message', async () => {
    const task = at.app.task('again', ({ attempt, retry }: TaskContext) => (attempt === 1 ? retry({ countdown: 0 }) : attempt), {
      bind: true,
      acks: 'early',
    })
    await at.work()
    expect(await (await task.delay()).get({ timeoutMs: 10_000 })).toBe(2)
  })

  it('does not prevent the worker from refusing an expired message', async () => {
    const task = at.app.task('early', () => 1, { acks: 'early' })
    await at.broker.publish([
      createMessage({ id: 'old', task: task.name, args: [], headers: { expires: '2020-01-01T00:00:00' } }),
    ])
    await at.work()
    // RabbitMQ drops expired messages itself.
    if (at.kind !== 'amqp') expect(await at.ended('old')).toMatchObject({ state: 'REVOKED' })
    else await until('gone', async () => (await waiting()) === 0)
  })
})

onEveryBroker('a late acknowledgement', (at) => {
  it('lets a task run again when its worker is killed', async () => {
    const first = await at.process(APP)
    const { id } = await at.app.sendTask('acks.late', [])
    await until('it runs', () => first.output().includes('acks.late runs'))
    first.kill('SIGKILL')
    await first.exited
    await at.process(APP, { env: { HOLD: 'no' } })
    expect(await at.ended(id, 30_000)).toMatchObject({ state: 'SUCCESS', result: 'late' })
  })
})

onEveryBroker('a task that throws a control flow error', (at) => {
  it('stores no outcome if it throws Ignore', async () => {
    let runs = 0
    const task = at.app.task('ignoring', () => {
      runs++
      throw new Ignore('of no interest')
    })
    await at.work()
    const { id } = await task.delay()
    await until('acknowledged', async () => runs === 1 && (await at.broker.depths(['celery']))[0]!.running === 0)
    const worker = await at.work()
    await worker.stop()
    expect(await task.asyncResult(id).state()).toBe('PENDING')
    expect(runs).toBe(1)
  })

  it('is stored as FAILURE if it throws Reject, and its message becomes a dead letter that can be requeued', async () => {
    const task = at.app.task('rejecting', (_x: number) => {
      throw new Reject({ reason: 'not mine' })
    })
    await at.work()
    const { id } = await task.delay(7)
    expect(await at.ended(id)).toMatchObject({ state: 'FAILURE', result: { exc_type: 'Reject', exc_message: ['not mine'] } })
    expect(await at.rows('SELECT task_id, task, queue, reason, body FROM $dead_letter')).toEqual([
      { task_id: id, task: 'rejecting', queue: 'celery', reason: 'not mine', body: '[[7],{},{}]' },
    ])
  })

  it('runs again if it throws Reject with requeue', async () => {
    let runs = 0
    const task = at.app.task('requeuing', () => {
      if (++runs < 3) throw new Reject({ requeue: true })
      return runs
    })
    await at.work()
    expect(await (await task.delay()).get({ timeoutMs: 20_000 })).toBe(3)
    expect(await at.rows('SELECT FROM $dead_letter')).toEqual([])
  })
})

onEveryBroker('a message that cannot run', (at) => {
  it('is stored as FAILURE and kept as a dead letter when its task is unknown', async () => {
    await at.work()
    const { id } = await at.app.sendTask('nobody.knows', [1])
    expect(await at.ended(id)).toMatchObject({ state: 'FAILURE', result: { exc_type: 'NotRegistered' } })
    expect(await at.rows('SELECT task_id, reason FROM $dead_letter')).toEqual([
      { task_id: id, reason: 'NotRegistered: nobody.knows' },
    ])
  })

  it('is stored as FAILURE and kept as a dead letter when too many workers died while they ran it', async () => {
    const { id } = await at.app.sendTask('acks.kills', [])
    for (let start = 0; start < 5; start++) {
      const worker = await at.process(APP)
      const ended = until('the end', async () => at.results.find(id).then((found) => found?.state === 'FAILURE'), 30_000)
      await Promise.race([worker.exited, ended])
      if ((await at.results.find(id))?.state === 'FAILURE') break
    }
    expect(await at.ended(id)).toMatchObject({
      state: 'FAILURE',
      result: { exc_type: 'WorkerLostError', exc_module: 'billiard.exceptions' },
    })
    expect(await at.rows('SELECT task_id FROM $dead_letter')).toEqual([{ task_id: id }])
  })
})
