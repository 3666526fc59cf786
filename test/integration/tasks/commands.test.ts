import { expect, it } from 'vitest'
import { runCommand } from '../../support/command.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

onEveryBroker('the command line', (at) => {
  const onedyno = (...args: string[]) => runCommand(at.env, ...args)
  const idIn = (stdout: string) => stdout.trim()

  it('calls a task and waits until the task succeeds or fails', async () => {
    at.app.task('tasks.add', (a: number, b: number, named: { c?: number } = {}) => a + b + (named.c ?? 0))
    at.app.task('tasks.fail', () => {
      throw new RangeError('no luck')
    })
    await at.work()
    expect(await onedyno('call', 'tasks.add', '--args', '[1, 2]', '--kwargs', '{"c": 3}', '--wait')).toMatchObject({
      code: 0,
      stdout: '6\n',
    })
    const failed = await onedyno('call', 'tasks.fail', '--wait', '--timeout', '20')
    expect(failed).toMatchObject({ code: 1, stdout: '' })
    expect(failed.stderr).toContain('ended as FAILURE: ValueError: no luck')
  })

  it('calls a task with a countdown, shows it and revokes it', async () => {
    at.app.task('tasks.add', (a: number, b: number) => a + b)
    await at.work()
    const called = await onedyno('call', 'tasks.add', '--args', '[1, 2]', '--countdown', '3600')
    expect(called.code).toBe(0)
    const id = idIn(called.stdout)
    expect(JSON.parse((await onedyno('result', id)).stdout)).toMatchObject({
      id,
      task: 'tasks.add',
      state: 'PENDING',
      queue: 'celery',
    })
    expect(await onedyno('revoke', id)).toMatchObject({ code: 0, stdout: `${id}\n` })
    // A revoked call is stored as REVOKED at once, not when it is due, with or without a worker that knows the task.
    await at.ended(id)
    expect((await onedyno('revoke', '--list')).stdout).toContain(`id  ${id}\n`)
  })

  it('prints the stored result of a task, and deletes it', async () => {
    at.app.task('tasks.add', (a: number, b: number) => a + b)
    await at.work()
    const { id } = await at.app.sendTask('tasks.add', [2, 2])
    await at.ended(id)
    const { code, stdout } = await onedyno('result', id, '--forget')
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ id, state: 'SUCCESS', result: 4 })])
    expect(await onedyno('result', id)).toMatchObject({ code: 1, stderr: expect.stringContaining('no result of') })
  })

  it('purges a queue after a confirmation', async () => {
    for (let n = 0; n < 3; n++) await at.app.sendTask('tasks.none', [n])
    const asked = await onedyno('purge', 'celery')
    expect(asked).toMatchObject({ code: 64, stderr: expect.stringContaining('Delete 3 waiting messages of celery?') })
    expect(await onedyno('purge', '--force', 'celery')).toMatchObject({ code: 0, stdout: 'celery: 3 messages deleted\n' })
    expect(await at.broker.depths(['celery'])).toMatchObject([{ ready: 0 }])
  })

  it('lists dead letters, and requeues dead letters for a worker that has their task', async () => {
    const first = await at.work()
    const { id } = await at.app.sendTask('tasks.late', ['hi'])
    expect(await at.ended(id)).toMatchObject({ state: 'FAILURE', result: { exc_type: 'NotRegistered' } })
    const [line = ''] = (await onedyno('dead-letters', '--json')).stdout.split('\n')
    const letter = JSON.parse(line)
    expect(letter).toMatchObject({
      taskId: id,
      task: 'tasks.late',
      queue: 'celery',
      reason: expect.stringContaining('NotRegistered'),
    })
    await first.stop()
    at.app.task('tasks.late', (text: string) => text)
    await at.work()
    expect(await onedyno('dead-letters', 'requeue', letter.id)).toMatchObject({ code: 0, stdout: `${id}\n` })
    expect(await until('it succeeds', async () => ((await at.results.find(id))?.state === 'SUCCESS' ? 'yes' : undefined))).toBe(
      'yes',
    )
    expect(await onedyno('dead-letters')).toMatchObject({ code: 0, stdout: '', stderr: 'no dead letters\n' })
    expect(await onedyno('dead-letters', 'requeue', letter.id)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nothing requeued'),
    })
  })

  it('reports which servers answer, without secrets', async () => {
    const { code, stdout } = await onedyno('report')
    expect(code).toBe(0)
    expect(stdout).toContain(`broker:        ${at.kind} (`)
    expect(stdout).toContain('postgresql:    PostgreSQL ')
    expect(stdout).toMatch(/queue: {9}celery: 0 ready, [0?] running/)
    expect(stdout).not.toMatch(/:\/\/[^*\s]+:(?!\*)[^@\s]+@/)
  })
})

onEveryBroker(
  'a wrong command line',
  (at) => {
    it.each([
      [['call'], 'call takes the name of one task'],
      [['call', 'a', 'b'], 'call takes the name of one task'],
      [['call', 'a', '--args', '{}'], '--args {} is not a JSON array'],
      [['call', 'a', '--args', '[1'], '--args [1 is not JSON'],
      [['call', 'a', '--kwargs', '[]'], '--kwargs [] is not a JSON object'],
      [['call', 'a', '--eta', 'soon'], '--eta soon is not a moment'],
      [['call', 'a', '--countdown', 'x'], '--countdown x is not a number'],
      [['call', 'a', '--priority', '256'], 'priority must be a whole number from 0 to 255, not 256'],
      [['call', 'a', '--timeout', '3'], '--timeout needs --wait'],
      [['result', 'a', '--timeout', '3'], '--timeout needs --wait'],
      [['result'], 'result takes the id of one task'],
      [['revoke'], 'revoke takes ids'],
      [['revoke', '--undo', 'a'], '--undo needs --task NAME'],
      [['revoke', ''], '"" is not a text of 1 to 255 characters'],
      [['revoke', '--task', ''], '"" is not a text of 1 to 255 characters'],
      [['dead-letters', '--limit', '0'], '--limit 0 is not a whole number'],
      [['purge'], 'purge takes the names of queues'],
      [['dead-letters', 'eat'], 'unknown action eat'],
      [['dead-letters', 'requeue', 'x'], 'requeue takes numbers'],
    ])('%j is refused with a reason and a hint', async (args, reason) => {
      const { code, stdout, stderr } = await runCommand(at.env, ...args)
      expect({ code, stdout }).toEqual({ code: 64, stdout: '' })
      expect(stderr).toContain(reason)
      expect(stderr).toMatch(/^hint: (`onedyno \S+ --help`|See the options)/m)
    })
  },
  { only: ['postgres'] },
)
