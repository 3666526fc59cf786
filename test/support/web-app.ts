import { onTestFinished } from 'vitest'
import { createRegistry } from '../../src/app/app.ts'
import type { RevokeOptions, Unwanted } from '../../src/app/calls/revoke.ts'
import type { StoredResult } from '../../src/app/results/stored-result.ts'
import { type Environment, parseConfig } from '../../src/config.ts'
import type { DeadLetter } from '../../src/database/dead-letters.ts'
import type { QueueSetting } from '../../src/database/queue-settings.ts'
import type { Located } from '../../src/database/results.ts'
import type { NewSchedule, ScheduleRun, StoredSchedule } from '../../src/database/schedules.ts'
import type { StoredLine } from '../../src/database/task-reports.ts'
import { AppError } from '../../src/errors.ts'
import { silentLog } from '../../src/log.ts'
import type { Message } from '../../src/message/message.ts'
import { registerShippedTasks } from '../../src/tasks/shipped.ts'
import { createWebApp } from '../../src/web/app.ts'

/** A fixed time for tests: Sunday, 2026-11-22 18:00:00 UTC. */
export const NOW = new Date('2026-11-22T18:00:00Z')

/** The web application on stores in memory. Tests can inspect what was sent and stored, and make any part fail. */
export function createTestWeb(env: Environment = {}) {
  const sent: Message[] = []
  const stored = new Map<string, StoredResult>()
  const located = new Map<string, Located>()
  const schedules = new Map<string, StoredSchedule>()
  const runs: ScheduleRun[] = []
  const created: NewSchedule[] = []
  const queues = new Map<string, QueueSetting>()
  const letters: DeadLetter[] = []
  const lines: StoredLine[] = []
  const revoked: { unwanted: Unwanted; terminate: boolean }[] = []
  const acted: string[] = []
  const fail: { publish?: Error; record?: Error; find?: Error; create?: Error; ready?: Error } = {}
  const silent = { broker: false }
  const time = { now: NOW.getTime() }
  const waiters: (() => void)[] = []
  const waitSignals: AbortSignal[] = []
  const config = parseConfig({ DATABASE_URL: 'postgresql://postgres@127.0.0.1/never-opened', ...env })
  const app = createRegistry(async () => backend)
  const results = {
    find: async (id: string) => {
      await rejectIf(fail.find)
      return stored.get(id)
    },
    wait: (id: string, signal: AbortSignal) =>
      new Promise<StoredResult | undefined>((resolve) => {
        waiters.push(() => resolve(stored.get(id)))
        signal.addEventListener('abort', () => resolve(undefined), { once: true })
        waitSignals.push(signal)
      }),
    forget: async (id: string) => {
      stored.delete(id)
    },
    recordSent: async ({ id, task, queue }: { id: string; task: string; queue: string; args: string }) => {
      await rejectIf(fail.record)
      stored.set(id, storedResult({ id, task, queue, state: 'PENDING', doneAt: null, startedAt: null, worker: null }))
    },
    locate: async (id: string) => located.get(id),
    cleanUp: async () => 0,
  }
  const backend = {
    ...results,
    publish: async (messages: readonly Message[]) => {
      await rejectIf(fail.publish)
      sent.push(...messages)
    },
    keep: async () => {},
    claim: async () => [],
    notSent: async () => {},
    send: async () => {},
    group: async () => undefined,
    states: async () => [],
    revoke: async (unwanted: Unwanted, { terminate = false }: RevokeOptions = {}) => {
      revoked.push({ unwanted, terminate })
      return unwanted.ids ?? []
    },
    close: async () => {},
  }
  registerShippedTasks(app, { config, log: silentLog(), results })
  const server = createWebApp({
    config,
    log: silentLog(),
    app,
    results,
    checkReady: () => rejectIf(fail.ready),
    clock: { now: () => time.now },
    schedules: {
      create: async (schedule) => {
        await rejectIf(fail.create)
        created.push(schedule)
        return '01a0f3c2-0000-7000-8000-000000000001'
      },
      list: async ({ after = '', limit }) => [...schedules.values()].filter(({ name }) => name > after).slice(0, limit),
      find: async (id) => schedules.get(id),
      remove: async (id) => schedules.delete(id),
      setEnabled: async (id, enabled) => {
        const found = schedules.get(id)
        if (found !== undefined) schedules.set(id, { ...found, enabled })
        return found !== undefined
      },
      runs: async (_id, { limit }) => runs.slice(0, limit),
    },
    queues: {
      listQueues: async () => [...queues.values()],
      pause: async (name) => void queues.set(name, { name, concurrency: null, ...queues.get(name), paused: true }),
      resume: async (name) => void queues.set(name, { name, concurrency: null, ...queues.get(name), paused: false }),
      limit: async (name, concurrency) => void queues.set(name, { name, paused: false, ...queues.get(name), concurrency }),
      depths: async (names) =>
        silent.broker ? new Promise<never>(() => {}) : names.map((queue) => ({ queue, ready: 3, running: 1 })),
    },
    deadLetters: {
      list: async (limit, before) =>
        letters.filter(({ id }) => before === undefined || Number(id) < Number(before)).slice(0, limit),
      async requeue(which) {
        acted.push(`requeue ${which}`)
        return letters.flatMap(({ id, taskId }) => (taskId && (which === 'all' || which.includes(id)) ? [taskId] : []))
      },
      async drop(which) {
        acted.push(`drop ${which}`)
        return which === 'all' ? letters.length : which.length
      },
    },
    reports: { lines: async (_id, limit) => lines.slice(-limit) },
  })
  onTestFinished(() => server.close())
  const form = (url: string, fields: Record<string, string> | string, headers: Record<string, string> = {}) =>
    server.inject({
      method: 'POST',
      url,
      headers: { host: 'localhost:5000', accept: 'text/html', 'content-type': 'application/x-www-form-urlencoded', ...headers },
      payload: typeof fields === 'string' ? fields : new URLSearchParams(fields).toString(),
    })
  const get = (url: string, headers: Record<string, string> = {}) =>
    server.inject({ url, headers: { host: 'localhost:5000', accept: 'text/html', ...headers } })
  const shown = { sent, stored, located, schedules, runs, created, queues, letters, lines, revoked, acted }
  return { server, app, ...shown, fail, silent, time, waiters, waitSignals, form, get }
}

async function rejectIf(error: Error | undefined): Promise<void> {
  if (error !== undefined) throw error
}

export const storedResult = (given: Partial<StoredResult> = {}): StoredResult => ({
  id: 'run-1',
  task: 'tasks.echo',
  state: 'SUCCESS',
  result: null,
  traceback: null,
  queue: 'celery',
  worker: 'celery@box',
  retries: 0,
  args: null,
  createdAt: new Date(NOW.getTime() - 5000),
  startedAt: new Date(NOW.getTime() - 4000),
  doneAt: new Date(NOW.getTime() - 3000),
  ...given,
})

export const storedSchedule = (given: Partial<StoredSchedule> = {}): StoredSchedule => ({
  id: '01a0f3c2-0000-7000-8000-000000000001',
  name: 'tasks.echo, 15 minutes, 00000001',
  description: '',
  task: 'tasks.echo',
  args: ['hi'],
  kwargs: {},
  queue: null,
  origin: 'db',
  schedule: { kind: 'interval', every: 15, period: 'minutes', anchor: NOW },
  problem: undefined,
  enabled: true,
  finished: false,
  nextRunAt: new Date(NOW.getTime() + 900_000),
  lastRunAt: null,
  lastTaskId: null,
  totalRunCount: 0,
  lastError: null,
  changedAt: NOW,
  ...given,
})

export const unreachable = () =>
  new AppError('BROKER_UNREACHABLE', 'PostgreSQL did not take the message: connect ECONNREFUSED 10.9.8.7:5432')
