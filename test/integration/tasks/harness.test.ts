import { expect, it } from 'vitest'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

onEveryBroker('the harness of task tests', (at) => {
  it('runs functions of a test as tasks in a worker of the test process', async () => {
    const add = at.app.task('add', (x: number, y: number) => x + y)
    await at.work()
    expect(await (await add.delay(2, 3)).get({ timeoutMs: 5000 })).toBe(5)
    expect(at.logged.some(({ msg }) => msg === 'task succeeded')).toBe(true)
  })

  it('runs the tasks of a module in a worker process that a test can kill', async () => {
    const worker = await at.process('test/fixtures/apps/held.ts')
    const { id } = await at.app.sendTask('held.once', [])
    await until('it runs', () => worker.output().includes('held.once runs'))
    worker.kill('SIGKILL')
    await worker.exited
    await at.process('test/fixtures/apps/held.ts', { env: { HOLD: 'no' } })
    expect(await at.ended(id)).toMatchObject({ state: 'SUCCESS', result: 'again' })
    expect(await at.rows('SELECT state FROM $task_result')).toEqual([{ state: 'SUCCESS' }])
  })
  it('ends although the server still counts a message as held by a killed worker', async () => {
    const worker = await at.process('test/fixtures/apps/held.ts')
    await at.app.sendTask('held.once', [])
    await until('it runs', () => worker.output().includes('held.once runs'))
    worker.kill('SIGKILL')
    await worker.exited
  })

  it('starts each test with empty queues, even if a worker of the test before still holds messages', async () => {
    await at.app.sendTask('nobody.takes', [])
    const [depth] = await at.broker.depths(['celery'])
    expect(depth!.ready + depth!.running).toBe(1)
  })
})
