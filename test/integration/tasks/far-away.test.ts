import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { onEveryBroker } from '../../support/task-worker.ts'

const CHUNKS = 20
const CHUNK = 5000

/** Memory of a process in MB (proc_pid_status(5): VmRSS is in kB). */
const rssMb = (pid: number) => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

onEveryBroker('100,000 tasks that are due in an hour', (at) => {
  it('are not claimed by a worker and use no memory of a worker', async () => {
    const worker = await at.process('test/fixtures/apps/retrying.ts')
    const works = async () => {
      const runs = await at.app.enqueue(Array.from({ length: 500 }, () => ({ task: 'retrying.once', args: [0] })))
      await Promise.all(runs.map(({ id }) => at.ended(id)))
    }
    // Measured after the worker has run tasks, not before.
    await works()
    await works()
    const before = rssMb(worker.pid)
    const far = Array.from({ length: CHUNK }, () => ({ task: 'retrying.once', args: [0], options: { countdown: 3600 } }))
    for (let chunk = 0; chunk < CHUNKS; chunk++) await at.app.enqueue(far)
    const after = rssMb(worker.pid)
    expect(await at.rows('SELECT count(*)::int AS n FROM $outbox WHERE due_at > now()')).toEqual([{ n: CHUNKS * CHUNK }])
    expect(await at.broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 0, running: 0 }])
    // The worker may have returned memory of its start to the system meanwhile (src/commands/return-memory.ts).
    expect(after - before).toBeLessThan(10)
    // Other tasks still run.
    await works()
  })
})
