import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createRegistry } from '../../../src/app/app.ts'
import type { Broker } from '../../../src/broker/broker.ts'
import { chooseBroker } from '../../../src/broker/open-broker.ts'
import { createBackend } from '../../../src/commands/backend.ts'
import { parseConfig } from '../../../src/config.ts'
import { createResults } from '../../../src/database/results.ts'
import { silentLog } from '../../../src/log.ts'
import { createTestSchema } from '../../support/database.ts'
import { createTestVhost, type TestVhost } from '../../support/rabbit.ts'
import { createOwnRedis, type OwnRedis } from '../../support/redis-server.ts'
import { type RoleProcess, startRole } from '../../support/role.ts'
import { until } from '../../support/until.ts'
import { ENDINGS, type Ending } from './endings.ts'

type Kind = Broker['kind']

const root = join(import.meta.dirname, '../../..')
const QUICK_TASKS = 5
let vhost: TestVhost | undefined
let redis: OwnRedis | undefined
const lines: string[] = []

beforeAll(async () => {
  const amqpUrl = inject('amqpUrl')
  if (amqpUrl !== undefined) vhost = await createTestVhost(amqpUrl)
  if (inject('redisUrl') !== undefined) redis = await createOwnRedis()
})
afterAll(async () => {
  await vhost?.drop()
  await redis?.close()
  const head = [
    'broker  ',
    'how the worker ends'.padEnd(56),
    'exit   ',
    'recorded                 ',
    'runs',
    'again after',
    'beside',
    'lost',
  ]
  process.stdout.write(`\n${[head.join(' | '), ...lines.sort()].join('\n')}\n`)
})

/** The environment of a worker with this broker. Each cell has its own queue, and with Redis its own database, because keys name workers by number. */
function placeOf(kind: Kind, cell: number): Record<string, string> {
  if (kind === 'amqp') return { ONEDYNO_BROKER: kind, AMQP_URL: vhost?.url ?? '' }
  if (kind === 'redis') return { ONEDYNO_BROKER: kind, REDIS_URL: `${redis?.url}/${cell}` }
  return { ONEDYNO_BROKER: kind }
}

/** The resources of one cell of the table. They end with it. */
async function openCell(kind: Kind, cell: number) {
  const schema = await createTestSchema()
  const folder = await mkdtemp(join(tmpdir(), 'onedyno-no-loss-'))
  const queue = `no-loss-${cell}`
  const env = {
    ...schema.env,
    ...placeOf(kind, cell),
    QUEUES: queue,
    TRACE_FOLDER: folder,
    SHUTDOWN_TIMEOUT: '3',
    WORKER_THREAD_MEMORY: '32',
  }
  const database = schema.open({ env })
  const broker = await chooseBroker(database, parseConfig(env), { name: 'test', log: silentLog() })
  const results = createResults(database)
  const app = createRegistry(async () => createBackend(database, broker, results))
  const workers: RoleProcess[] = []
  return {
    /** undefined: the worker did not exit within 40 seconds. */
    ended: (ids: readonly string[]) => Promise.all(ids.map((id) => results.wait(id, AbortSignal.timeout(40_000)))),
    go: () => appendFile(join(folder, 'go'), ''),
    send: async (name: string, args: unknown[], options = {}) => (await app.sendTask(name, args, { queue, ...options })).id,
    /** Name, pid and milliseconds since the epoch of every start of a task. */
    async traces(name: string) {
      const text = await readFile(join(folder, 'trace'), 'utf8').catch(() => '')
      return text.split('\n').flatMap((line) => (line.startsWith(`${name} `) ? [line.split(' ')] : []))
    },
    async worker() {
      const name = `celery@${kind}-${cell}-${workers.length}`
      const args = ['--app', join(root, 'test/fixtures/apps/no-loss-app.mjs'), '-c', '2', '-n', name]
      const worker = await startRole('worker', env, args, { main: 'src/main.ts' })
      workers.push(worker)
      return worker
    },
    async close() {
      for (const worker of workers) worker.kill('SIGKILL')
      for (const worker of workers) await worker.exited
      await broker.close()
      await schema.drop()
      await rm(folder, { recursive: true })
    },
  }
}

type Cell = Awaited<ReturnType<typeof openCell>>

/** Starts a worker with two running tasks and more that wait, and a second worker; then the first one ends. */
async function play(cell: Cell, { task, act, exit: expected }: Ending) {
  const first = await cell.worker()
  let exit: string | undefined
  void first.exited.then((code) => {
    exit = code === null ? 'SIGKILL' : String(code)
  })
  const ids: string[] = []
  if (task !== undefined) {
    const beside = await cell.send('no-loss.beside', [])
    await until('the one beside runs', async () => (await cell.traces('beside')).length === 1)
    ids.push(await cell.send(task.name, [task.vice], { timeLimit: task.timeLimit }), beside)
    await until('both run', async () => (await cell.traces('victim')).length === 1)
    if (task.first === 'ended') await cell.ended(ids.slice(0, 1))
  }
  await cell.worker()
  if (task !== undefined) for (let n = 0; n < QUICK_TASKS; n++) ids.push(await cell.send('no-loss.behind', [n]))
  const actedAt = Date.now()
  await cell.go()
  act?.(first)
  if (task === undefined) {
    await first.exited
    for (let n = 0; n < QUICK_TASKS; n++) ids.push(await cell.send('no-loss.behind', [n]))
  }
  const ends = await cell.ended(ids)
  const lost = ends.filter((end) => end === undefined).length
  // The second worker lives when every task has ended.
  if (expected !== 'goes on') await first.exited
  return { exit: exit ?? 'goes on', ends, lost, actedAt }
}

async function observe(kind: Kind, cell: Cell, ending: Ending) {
  const { exit, ends, lost, actedAt } = await play(cell, ending)
  const [victim] = ending.task === undefined ? [undefined] : ends
  const excType = (victim?.result as { exc_type?: string } | null)?.exc_type
  const starts = await cell.traces('victim')
  const beside = await cell.traces('beside')
  const againMs = starts.length < 2 ? undefined : Number(starts[1]?.[2]) - actedAt
  const seen = {
    exit,
    recorded: victim === undefined ? '–' : [victim.state, ...(excType === undefined ? [] : [excType])].join(' '),
    again: starts.length > 1,
    beside:
      ending.task === undefined ? '–' : beside.length === 1 ? 'once' : beside.length === 2 ? 'twice' : `${beside.length} times`,
    others: ends.slice(victim === undefined ? 0 : 1).map((end) => end?.state),
    lost,
  }
  const cells = [kind.padEnd(8), ending.how.padEnd(56), exit.padEnd(7), seen.recorded.padEnd(25), String(starts.length).padEnd(4)]
  lines.push([...cells, (againMs === undefined ? '' : `${againMs} ms`).padEnd(11), seen.beside.padEnd(6), lost].join(' | '))
  return { seen, againMs, runs: starts.length }
}

const missing = (kind: Kind) =>
  (kind === 'amqp' && inject('amqpUrl') === undefined) || (kind === 'redis' && inject('redisUrl') === undefined)
const cells = (['postgres', 'amqp', 'redis'] as const).flatMap((kind) => ENDINGS.map((ending, n) => ({ kind, ending, n })))

describe.concurrent('nothing is lost when a worker ends', () => {
  for (const { kind, ending, n } of cells)
    it.skipIf(missing(kind))(
      `${kind}: ${ending.how}`,
      async ({ expect }) => {
        const cell = await openCell(kind, n)
        try {
          const { seen, againMs, runs } = await observe(kind, cell, ending)
          const others = Array.from({ length: QUICK_TASKS + (ending.task === undefined ? 0 : 1) }, () => 'SUCCESS')
          const again = ending.withinMs !== undefined
          expect(seen).toEqual({ exit: ending.exit, recorded: ending.recorded, again, beside: ending.beside, others, lost: 0 })
          expect(runs).toBe(ending.task === undefined ? 0 : again ? 2 : 1)
          if (again) expect(againMs).toBeLessThan(ending.withinMs ?? 0)
        } finally {
          await cell.close()
        }
      },
      90_000,
    )
})

it('matches the table in docs/operations.md', async () => {
  const text = await readFile(join(root, 'docs/operations.md'), 'utf8')
  const [, section = ''] = text.split('\n## How a worker can end\n')
  const rows = [...section.split('\n## ')[0]!.matchAll(/^\| (.+) \|$/gm)].map(([, row]) => row?.split(' | '))
  const table = ENDINGS.map(({ how, exit, recorded, again, beside }) => [how, exit, recorded, again, beside])
  expect(rows.slice(2)).toEqual(table)
})
