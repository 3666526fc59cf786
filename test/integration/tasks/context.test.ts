import { expect, it } from 'vitest'
import { createTaskReports } from '../../../src/database/task-reports.ts'
import { createReporter } from '../../../src/worker/attempt/run-report.ts'
import { onEveryBroker, type TaskFixture } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

onEveryBroker('a running task', (at: TaskFixture) => {
  const work = async () => {
    const { database } = await at.connect()
    const reports = createTaskReports(database, 'celery@test')
    const lines: object[] = []
    const log = (await import('../../../src/log.ts')).createLog(
      { level: 'info', format: 'json' },
      { write: (line) => void lines.push(JSON.parse(line)) },
    )
    await at.work({ reporter: createReporter(reports, log), tracing: true })
    return { reports, lines }
  }

  it('stores its log lines with the number of the attempt, and the worker logs the same lines', async () => {
    at.app.task(
      'tasks.talk',
      ({ log, attempt, retry }) => {
        log.info({ attempt }, 'begins')
        if (attempt === 1) retry({ countdown: 0 })
        log.child({ part: 'end' }).warn('ends')
      },
      { bind: true },
    )
    const { reports, lines } = await work()
    const { id } = await at.app.sendTask('tasks.talk', [])
    await at.ended(id)
    expect(await reports.lines(id, 100)).toMatchObject([
      { retries: 0, level: 30, message: 'begins', fields: '{"attempt":1}' },
      { retries: 1, level: 30, message: 'begins', fields: '{"attempt":2}' },
      { retries: 1, level: 40, message: 'ends', fields: null },
    ])
    expect(lines).toEqual(expect.arrayContaining([expect.objectContaining({ task: 'tasks.talk', id, part: 'end', msg: 'ends' })]))
  })

  it('shows its progress while it runs and after it has ended', async () => {
    let go = () => {}
    const held = new Promise<void>((resolve) => {
      go = resolve
    })
    const task = at.app.task(
      'tasks.far',
      async ({ progress }) => {
        progress(3, 10, 'pages')
        await held
        progress(10, 10, 'pages')
      },
      { bind: true },
    )
    await work()
    const result = await task.delay()
    expect(await until('it says so', async () => (await result.progress()) ?? undefined)).toMatchObject({
      n: 3,
      of: 10,
      note: 'pages',
    })
    expect(await result.state()).toBe('STARTED')
    go()
    await at.ended(result.id)
    expect(await result.progress()).toMatchObject({ n: 10, of: 10 })
  })

  it('shows its parent and its children, which all have the same trace id', async () => {
    const seen: { id: string; parentId: string | undefined; rootId: string; trace: unknown }[] = []
    const look = ({
      id,
      parentId,
      rootId,
      headers,
    }: {
      id: string
      parentId: string | undefined
      rootId: string
      headers: Readonly<Record<string, unknown>>
    }) => {
      seen.push({ id, parentId, rootId, trace: headers.traceparent })
    }
    const leaf = at.app.task('tasks.leaf', (context) => look(context), { bind: true })
    const branch = at.app.task(
      'tasks.branch',
      async (context) => {
        look(context)
        await leaf.delay()
        await leaf.applyAsync([], { countdown: 0.05 })
      },
      { bind: true },
    )
    await work()
    const root = await branch.applyAsync([], { headers: { traceparent: TRACE } })
    await at.ended(root.id)
    const children = (await root.info())?.children ?? []
    expect(children).toHaveLength(2)
    for (const child of children) {
      const stored = await at.ended(String(child))
      expect(stored).toMatchObject({ parentId: root.id, rootId: root.id })
    }
    expect(seen).toHaveLength(3)
    expect(seen.every(({ rootId, trace }) => rootId === root.id && trace === TRACE)).toBe(true)
    expect(
      seen
        .filter(({ parentId }) => parentId === root.id)
        .map(({ id }) => id)
        .sort(),
    ).toEqual([...children].sort())
  })
})
