import { expect, it } from 'vitest'
import { chain } from '../../../src/app/canvas/canvas.ts'
import { Reject } from '../../../src/app/task-errors.ts'
import { createDeadLetters } from '../../../src/database/dead-letters.ts'
import { onEveryBroker } from '../../support/task-worker.ts'

onEveryBroker('a dead letter that is requeued', (at) => {
  it('runs like a new message, and the chain of its task continues', async () => {
    let refuses = true
    const picky = at.app.task('picky', (x: number) => {
      if (refuses) throw new Reject()
      return x + 1
    })
    const double = at.app.task('double', (x: number) => x * 2)
    await at.work()
    const last = await chain(picky.s(1), double.s(), double.s()).delay()
    await expect(last.get({ timeoutMs: 10_000 })).rejects.toThrow('rejected by the task')
    refuses = false
    expect(await createDeadLetters(at.database).requeue('all')).toEqual([last.root?.id])
    expect(await last.get({ timeoutMs: 10_000 })).toBe(8)
    expect(await at.rows('SELECT state FROM $task_result')).toEqual(Array(3).fill({ state: 'SUCCESS' }))
  })
})
