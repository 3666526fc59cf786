import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HOST, openWorker, PLACES, type Place } from '../../support/controlled-worker.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { until } from '../../support/until.ts'

for (const [server, kind, open] of PLACES)
  describe.skipIf(lacks(kind, 'celery'))(`our worker controlled by app.control of Python on ${server}`, () => {
    let schema: TestSchema
    let place: Place
    let ours: Awaited<ReturnType<typeof openWorker>>
    let evaluate: ReturnType<Place['python']['evaluator']>

    beforeAll(async () => {
      schema = await createTestSchema()
      place = await open(schema)
      ours = await openWorker(schema, place)
      evaluate = place.python.evaluator()
      await until('the worker answers', async () => JSON.stringify(await evaluate('app.control.ping(timeout=1)')).includes(HOST))
    })
    afterAll(async () => {
      await ours?.worker.stop()
      await ours?.control.stop()
      await place?.close()
      await schema?.drop()
    })

    const ok = (text: string) => ({ value: [{ [HOST]: { ok: text } }] })
    const startWaiting = async (headers: Record<string, unknown> = {}) => {
      const { id } = await ours.app.sendTask('tasks.wait', [], { headers })
      await until('task running', () => ours.worker.active().some(({ delivery }) => delivery.message.headers.id === id))
      return id
    }
    const isRevoked = (id: string) => until('outcome stored', async () => (await ours.results.find(id))?.state === 'REVOKED')

    // Flower sends terminate=1 from its button, and True from its HTTP API.
    it.each(['1', 'True', '"yes"'])('ends a running task after revoke(terminate=%s)', async (flag) => {
      const id = await startWaiting()
      const options = `terminate=${flag}, signal='SIGTERM', reply=True, timeout=5, limit=1`
      expect(await evaluate(`app.control.revoke('${id}', ${options})`)).toEqual(ok(`terminate: ${id}`))
      await isRevoked(id)
      expect(ours.aborted).toContain(id)
    })

    it('lets a running task finish after revoke(terminate=0)', async () => {
      const id = await startWaiting()
      const answer = await evaluate(`app.control.revoke('${id}', terminate=0, reply=True, timeout=5, limit=1)`)
      expect(answer).toEqual(ok(`tasks {'${id}'} flagged as revoked`))
      expect(ours.worker.running).toBe(1)
      await evaluate(`app.control.terminate('${id}')`)
      await isRevoked(id)
    })

    it('revokes running and later tasks by their stamps', async () => {
      const stamp = randomUUID()
      const stamped = { stamped_headers: ['order'], stamps: { order: [stamp, 'other'] } }
      const [id, spared] = [await startWaiting(stamped), await startWaiting()]
      const answer = await evaluate(`revoke_by_stamps(headers={'order': ['${stamp}']}, terminate=True, signal='SIGTERM')`)
      expect(answer).toEqual(ok(`terminate: ${id}`))
      await isRevoked(id)
      const later = await ours.app.sendTask('tasks.echo', ['never'], { headers: stamped })
      await isRevoked(later.id)
      expect(ours.worker.active().map(({ delivery }) => delivery.message.headers.id)).toEqual([spared])
      await evaluate(`app.control.revoke('${spared}', terminate=1)`)
      await isRevoked(spared)
    })

    it('consumes from a queue that is bound to an exchange on RabbitMQ, and refuses the exchange on Redis', async () => {
      const queue = `orders_${randomUUID()}`
      const options = `exchange='${queue}_events', exchange_type='topic', routing_key='order.#', reply=True, timeout=5, limit=1`
      const answer = await evaluate(`app.control.add_consumer('${queue}', ${options})`)
      if (kind === 'redis') {
        expect(answer).toEqual({ value: [{ [HOST]: { error: expect.stringContaining('no exchanges') } }] })
        expect(ours.worker.queues).toEqual(['celery'])
        return
      }
      expect(answer).toEqual(ok(`add consumer ${queue}`))
      const id = randomUUID()
      const message = `args=['bound'], task_id='${id}', exchange='${queue}_events', routing_key='order.paid'`
      await evaluate(`app.send_task('tasks.echo', ${message}).id`)
      await until('task run', async () => (await ours.results.find(id))?.state === 'SUCCESS')
    })

    it('consumes from a queue after add_consumer with the default values of the client', async () => {
      const queue = `plain_${randomUUID()}`
      const answer = await evaluate(`app.control.add_consumer('${queue}', reply=True, timeout=5, limit=1)`)
      expect(answer).toEqual(ok(`add consumer ${queue}`))
      expect(ours.worker.queues).toContain(queue)
    })
  })
