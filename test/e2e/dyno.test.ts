import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { alive, createDynoFolder, type Dyno, descendants, postForm, startDyno, untilFormAnswers } from '../support/dyno.ts'
import { until } from '../support/until.ts'

/** The whole dyno as `npm start` runs it, with the embedded database. The tests share one folder and run in order. */
describe('one dyno without an external database or broker', () => {
  let folder: string
  let dyno: Dyno | undefined
  const started: number[] = []

  beforeAll(async () => {
    const made = await createDynoFolder()
    folder = made.folder
    return async () => {
      for (const pid of await alive(started)) process.kill(pid, 'SIGKILL')
      await made.remove()
    }
  })
  afterEach(async () => {
    dyno?.signal('SIGTERM')
    await dyno?.exited
    dyno = undefined
  })

  const start = async () => {
    dyno = await startDyno(folder)
    await untilFormAnswers(dyno)
    started.push(...(await dyno.processes()))
    return dyno
  }

  const statusOf = async (on: Dyno, path: string) =>
    (await (await fetch(`${on.url}${path}`, { headers: { accept: 'application/json' } })).json()) as {
      state: string
      result: unknown
    }

  const runEcho = async (on: Dyno, text: string) => {
    const postedAt = performance.now()
    const { path } = await postForm(on, { task: 'tasks.echo', args: JSON.stringify([text]) })
    await until('SUCCESS', async () => (await statusOf(on, path)).state === 'SUCCESS', 2000)
    expect(performance.now() - postedAt).toBeLessThan(2000)
    return path
  }

  let firstPath = ''

  it('runs a task that is sent from the form, and its page shows SUCCESS and the value', async () => {
    const on = await start()
    firstPath = await runEcho(on, 'hi')
    const page = await (await fetch(`${on.url}${firstPath}`)).text()
    expect(page).toContain('SUCCESS')
    expect(page).toContain('hi')
  })

  it('runs a schedule every second, and each run has its own id', async () => {
    const on = await start()
    const { path } = await postForm(on, { task: 'tasks.echo', args: '["tick"]', schedule: '1 seconds' })
    const ids = async () =>
      new Set(
        [...(await (await fetch(`${on.url}${path}`)).text()).matchAll(/\/tasks\/tasks\.echo\/([0-9a-f-]{36})/g)].map(
          ([, id]) => id,
        ),
      )
    await until('five runs', async () => (await ids()).size >= 5, 10_000)
    const before = await ids()
    await until('a new run within two seconds', async () => (await ids()).size > before.size, 2000)
  })

  it('ends after one SIGTERM and leaves no process behind', async () => {
    const on = await start()
    const processes = await on.processes()
    expect(processes.length).toBeGreaterThanOrEqual(5)
    on.signal('SIGTERM')
    expect(await on.exited).toBe(143)
    expect(await alive(processes)).toEqual([])
  })

  it('still has its results after a stop and a second start, and runs new tasks', async () => {
    const on = await start()
    expect(await statusOf(on, firstPath)).toMatchObject({ state: 'SUCCESS', result: 'hi' })
    await runEcho(on, 'again')
  })

  it('starts again with its data after kill -9 of its whole process tree', async () => {
    const on = await start()
    const path = await runEcho(on, 'kept')
    for (const pid of await on.processes()) process.kill(pid, 'SIGKILL')
    await on.exited
    const after = await start()
    expect(await statusOf(after, path)).toMatchObject({ state: 'SUCCESS', result: 'kept' })
    await runEcho(after, 'alive')
  })

  it('leaves no process behind if only the supervisor is killed, and can be started again at once', async () => {
    const on = await start()
    const path = await runEcho(on, 'kept too')
    const roles = (await on.processes()).filter((pid) => pid !== on.pid)
    process.kill(on.pid, 'SIGKILL')
    await on.exited
    const after = await start()
    expect(await statusOf(after, path)).toMatchObject({ state: 'SUCCESS', result: 'kept too' })
    const left = await alive(roles)
    const adopted = await descendants(after.pid)
    // The database server may go on: the next start adopts it and stops it at its end.
    after.signal('SIGTERM')
    await after.exited
    // The watchdog of the killed supervisor gives the children two seconds to end.
    await until('nothing left', async () => (await alive([...left, ...adopted])).length === 0, 5000)
  })

  it.each(['worker', 'beat'])('restarts a crashed %s while web stays up', async (name) => {
    const on = await start()
    const pid = Number(new RegExp(`${name}\\.1 started \\(pid=(\\d+)\\)`).exec(on.output())?.[1])
    const webPid = /web\.1 started \(pid=(\d+)\)/.exec(on.output())?.[1]
    process.kill(pid, 'SIGKILL')
    await until(`${name} again`, () => on.output().match(new RegExp(`${name}\\.1 started`, 'g'))?.length === 2, 10_000)
    started.push(...(await on.processes()))
    await runEcho(on, 'after the crash')
    expect(on.output().match(/web\.1 started/g)).toHaveLength(1)
    expect(await alive([Number(webPid)])).toHaveLength(1)
  })

  it('refuses a second supervisor in the same folder, while the first supervisor continues', async () => {
    const on = await start()
    const second = await startDyno(folder)
    expect(await second.exited).toBe(73)
    expect(second.output()).toContain(`${on.pid}`)
    expect(second.output()).toContain('hint:')
    await runEcho(on, 'undisturbed')
  })
})
