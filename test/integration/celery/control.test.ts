import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askWorkers } from '../../../src/control/ask.ts'
import { HOST, openWorker, PLACES, type Place } from '../../support/controlled-worker.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { until } from '../../support/until.ts'

for (const [server, kind, open] of PLACES)
  describe.skipIf(lacks(kind, 'celery'))(`our worker controlled by real Celery on ${server}`, () => {
    let schema: TestSchema
    let place: Place
    let ours: Awaited<ReturnType<typeof openWorker>>

    beforeAll(async () => {
      schema = await createTestSchema()
      place = await open(schema)
      ours = await openWorker(schema, place)
    })
    afterAll(async () => {
      await ours?.worker.stop()
      await ours?.control.stop()
      await place?.close()
      await schema?.drop()
    })

    const inspect = async (...args: string[]) => (await place.celery.ask('inspect', ...args))[HOST]
    const control = async (...args: string[]) => (await place.celery.ask('control', ...args))[HOST]
    const tell = async (method: string, given: object): Promise<unknown> =>
      (
        await askWorkers(await place.broker.control(), { method, given: { ...given }, destination: [HOST], timeoutMs: 10_000 })
      ).get(HOST)

    it('is listed by `celery status`', async () => {
      const { code, output } = await place.celery.run('status', '--timeout', '2')
      expect(output).toContain(`${HOST}: OK`)
      expect(output).toContain('1 node online')
      expect(code).toBe(0)
    })

    it('answers `inspect ping`, `registered` and `active_queues`', async () => {
      expect(await inspect('ping')).toEqual({ ok: 'pong' })
      expect(await inspect('registered')).toEqual(['tasks.echo', 'tasks.fail', 'tasks.wait'])
      expect(await inspect('active_queues')).toMatchObject([
        { name: 'celery', routing_key: 'celery', exchange: { name: 'celery' } },
      ])
    })

    it('answers `inspect active` with a running task until the task is revoked and terminated', async () => {
      const run = await ours.app.sendTask('tasks.wait', [], { kwargs: {} })
      await until('task running', () => ours.worker.running === 1)
      expect(await inspect('active')).toMatchObject([
        { id: run.id, name: 'tasks.wait', args: [], kwargs: {}, hostname: HOST, delivery_info: { routing_key: 'celery' } },
      ])
      expect(await tell('revoke', { task_id: run.id, terminate: true, signal: 'SIGTERM' })).toEqual({
        ok: `terminate: ${run.id}`,
      })
      const row = await until('outcome stored', async () => {
        const found = await ours.results.find(run.id)
        return found?.state === 'REVOKED' ? found : undefined
      })
      expect(ours.aborted).toEqual([run.id])
      expect(JSON.stringify(row)).toContain('TaskRevokedError')
      expect(await inspect('active')).toEqual([])
    })

    it('answers `inspect stats` with the fields that Flower reads', async () => {
      await (await ours.app.sendTask('tasks.echo', [1])).get({ timeoutMs: 10_000 })
      expect(await inspect('stats')).toMatchObject({
        total: { 'tasks.echo': 1 },
        pid: process.pid,
        clock: expect.stringMatching(/^\d+$/),
        pool: { 'max-concurrency': 4 },
        broker: { transport: kind, hostname: '127.0.0.1' },
        prefetch_count: 4,
      })
    })

    it('answers `reserved`, `scheduled`, `revoked`, `conf` and `report`, without any password', async () => {
      expect(await inspect('reserved')).toEqual([])
      expect(await inspect('scheduled')).toEqual([])
      expect(await inspect('revoked')).toEqual(expect.arrayContaining([expect.any(String)]))
      const conf = JSON.stringify(await inspect('conf'))
      expect(conf).toContain('broker_url')
      expect(conf).not.toContain('guest:guest')
      expect(await inspect('report')).toEqual({ ok: expect.stringContaining('onedyno:') })
    })

    it('stores REVOKED for a task that was revoked before it ran', async () => {
      const id = randomUUID()
      expect(await tell('revoke', { task_id: [id] })).toEqual({ ok: `tasks {'${id}'} flagged as revoked` })
      await ours.app.sendTask('tasks.echo', ['never'], { taskId: id })
      await until('outcome stored', async () => (await ours.results.find(id))?.state === 'REVOKED')
    })

    it('consumes from another queue between `add_consumer` and `cancel_consumer`, without ending a running task', async () => {
      const slow = await ours.app.sendTask('tasks.wait', [])
      await until('task running', () => ours.worker.running === 1)
      const extra = await ours.app.sendTask('tasks.echo', ['extra'], { queue: 'extra' })
      expect(await control('add_consumer', 'extra')).toEqual({ ok: 'add consumer extra' })
      expect(await extra.get({ timeoutMs: 10_000 })).toBe('extra')
      expect(await control('cancel_consumer', 'extra')).toEqual({ ok: 'no longer consuming from extra' })
      await ours.app.sendTask('tasks.echo', ['left'], { queue: 'extra' })
      expect(await (await ours.app.sendTask('tasks.echo', ['still here'])).get({ timeoutMs: 10_000 })).toBe('still here')
      expect(await place.broker.depths(['extra'])).toMatchObject([{ queue: 'extra', ready: 1 }])
      await tell('revoke', { task_id: slow.id, terminate: true })
      await until('outcome stored', async () => (await ours.results.find(slow.id))?.state === 'REVOKED')
    })

    it('changes its concurrency after `pool_grow` and `pool_shrink`', async () => {
      expect(await control('pool_grow', '2')).toEqual({ ok: 'pool will grow' })
      expect(ours.worker.concurrency).toBe(6)
      expect(await control('pool_shrink', '2')).toEqual({ ok: 'pool will shrink' })
      expect(ours.worker.concurrency).toBe(4)
      expect(await tell('pool_shrink', { n: 4 })).toEqual({ error: expect.stringContaining('ValueError') })
    })

    it('sets time limits for the next attempt', async () => {
      expect(await control('time_limit', 'tasks.wait', '0.05', '30')).toEqual({ ok: 'time limits set successfully' })
      const { id } = await ours.app.sendTask('tasks.wait', [])
      const stored = await ours.app
        .asyncResult(id)
        .get({ timeoutMs: 10_000 })
        .catch((error) => error)
      expect(stored).toMatchObject({ taskId: id, excType: 'SoftTimeLimitExceeded' })
      expect(await tell('time_limit', { task_name: 'tasks.wait' })).toEqual({ ok: 'time limits set successfully' })
      expect(await tell('time_limit', { task_name: 'tasks.wait', hard: -1 })).toEqual({
        error: expect.stringContaining('above 0'),
      })
    })

    it('sets and removes rate limits', async () => {
      expect(await control('rate_limit', 'tasks.fail', '10/m')).toEqual({ ok: 'new rate limit set successfully' })
      expect(await tell('rate_limit', { task_name: 'tasks.fail', rate_limit: 0 })).toEqual({
        ok: 'rate limit disabled successfully',
      })
      expect(await tell('rate_limit', { task_name: 'tasks.fail', rate_limit: 'often' })).toEqual({
        error: expect.stringContaining('Invalid rate limit string'),
      })
    })

    it('answers unsupported commands with an error', async () => {
      expect(await tell('rate_limit', { task_name: 'tasks.none', rate_limit: '1/m' })).toEqual({ error: 'unknown task' })
      expect(await tell('no_such_cmd', {})).toEqual({ error: "KeyError('no_such_cmd')" })
    })

    it('sends events after `enable_events` only, and `celery events --dump` shows them', async () => {
      const dump = place.celery.dump()
      await until('the dump starts', () => dump.output().includes('evdump: starting capture'))
      await (await ours.app.sendTask('tasks.echo', ['unseen'])).get({ timeoutMs: 10_000 })
      // The dump is subscribed once it receives worker-online.
      await until('it hears us', async () => {
        await tell('disable_events', {})
        expect(await tell('enable_events', {})).toEqual({ ok: 'task events enabled' })
        return dump.output().includes(`${HOST} [`)
      })
      expect(await tell('enable_events', {})).toEqual({ ok: 'task events already enabled' })
      const good = await ours.app.sendTask('tasks.echo', ['seen'])
      const bad = await ours.app.sendTask('tasks.fail', ['boom'])
      await until('a heartbeat', () => dump.output().includes('heartbeat'))
      const text = await until('all of it', () => (dump.output().includes('task failed') ? dump.output() : undefined))
      expect(text).toContain(`task received: tasks.echo(${good.id}) args=["seen"]`)
      expect(text).toContain(`task started: tasks.echo(${good.id})`)
      expect(text).toMatch(new RegExp(`task succeeded: tasks.echo.${good.id}. .*result='seen'`))
      expect(text).toMatch(new RegExp(`task failed: tasks.fail.${bad.id}. .*exception=ValueError.'boom'.`))
      expect(text).not.toContain('unseen')
      expect(await tell('disable_events', {})).toEqual({ ok: 'task events disabled' })
    })

    it('stops after `shutdown`', async () => {
      await place.celery.run('control', '--timeout', '1', 'shutdown')
      await until('told', () => ours.told.aborted)
    })
  })
