import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { run } from '../../../src/commands/queues.ts'
import { parkInOutbox } from '../../../src/database/outbox.ts'
import { createQueueSettings } from '../../../src/database/queue-settings.ts'
import { createSlots } from '../../../src/database/slots.ts'
import { createMessage } from '../../../src/message/message.ts'
import { root } from '../../support/import-graph.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

onEveryBroker('onedyno queues', (at) => {
  const queues = async (...argv: string[]) =>
    (await promisify(execFile)(process.execPath, [join(root, 'src/main.ts'), 'queues', ...argv], { env: { ...at.env } })).stdout

  it('lists, pauses, resumes and limits queues', async () => {
    await at.app.enqueue([{ task: 'a' }, { task: 'b', options: { queue: 'mail' } }])
    expect(await queues('pause', 'mail')).toBe('mail is paused\n')
    expect(await queues('limit', 'ledger', '1')).toBe('ledger: 1 at once over all workers\n')
    // RabbitMQ does not report unacknowledged messages to other connections.
    const running = at.kind === 'amqp' ? null : 0
    const listed = JSON.parse(await queues('list', '--json')) as Record<string, unknown>[]
    expect(listed).toEqual([
      { name: 'celery', paused: false, concurrency: null, ready: 1, running },
      { name: 'ledger', paused: false, concurrency: 1, ready: 0, running },
      { name: 'mail', paused: true, concurrency: null, ready: 1, running },
    ])
    expect(await queues()).toBe(
      [
        'QUEUE       READY  RUNNING  SET',
        `celery          1        ${running ?? '?'}`,
        `ledger          0        ${running ?? '?'}  1 at once`,
        `mail            1        ${running ?? '?'}  paused`,
        '',
      ].join('\n'),
    )
    expect(await queues('resume', 'mail')).toBe('mail goes on\n')
    expect(await queues('limit', 'ledger', 'none')).toBe('ledger has no limit\n')
    expect(await createQueueSettings(at.database).all()).toEqual([])
    await at.broker.purge('mail')
  })
})

onEveryBroker(
  'settings of queues',
  (at) => {
    it.each<[readonly string[], string]>([
      [['stop'], 'unknown action stop; there are list, pause, resume, limit'],
      [['pause'], 'pause takes the name of a queue'],
      [['limit', 'a'], 'limit takes a queue and a number, or none'],
      [['limit', 'a', 'many'], 'many is neither a number nor none'],
      [['list', 'a'], 'list takes nothing more'],
      [['limit', 'a', '0'], '0 is not a whole number from 1 to 1000'],
      [['pause', 'a,b'], '"a,b" is not a name'],
    ])('are not changed by the invalid arguments %j', async (argv, message) => {
      await expect(run(argv, at.env)).rejects.toThrow(message)
    })

    it('that the application makes apply only to queues without a stored setting', async () => {
      const settings = createQueueSettings(at.database)
      await settings.declare(new Map([['a', { concurrency: 2 }]]))
      await settings.limit('a', null)
      await settings.declare(
        new Map([
          ['a', { concurrency: 2 }],
          ['b', { concurrency: 1 }],
        ]),
      )
      expect(await settings.listQueues(['c'])).toEqual([
        { name: 'a', paused: false, concurrency: null },
        { name: 'b', paused: false, concurrency: 1 },
        { name: 'c', paused: false, concurrency: null },
      ])
    })

    it('give each slot to one process, and a released slot to another process', async () => {
      const [one, other] = [await createSlots(at.database), await createSlots((await at.connect()).database)]
      expect([await one.take('q', 2, 3), await other.take('q', 2, 3)]).toEqual([2, 1])
      expect(await one.take('q', 2, 3)).toBe(2)
      await one.release('q')
      expect(await other.take('q', 3, 3)).toBe(3)
      expect(await one.take('q', 1, 3)).toBe(0)
      await other.close()
      expect(await one.take('q', 3, 3)).toBe(3)
      await one.close()
    })

    it('return the slots of a process after its connection was lost, before other processes can get these slots', async () => {
      const [mine, others] = [await at.connect(), await at.connect()]
      const [one, other] = [await createSlots(mine.database), await createSlots(others.database)]
      expect(await one.take('q', 1, 1)).toBe(1)
      await at.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = (hashtext($1)::bigint & 4294967295)::oid",
        [`${at.schema.schema}.q`],
      )
      await until('the connection is noticed to be lost', () => one.held('q') === 0)
      await until('it is back', () => one.held('q') === 1)
      expect(await other.take('q', 1, 1)).toBe(0)
    })

    it('do not cause the loss of a message that is parked again before the relay has deleted the earlier copy', async () => {
      const message = createMessage({ id: 'i', task: 't', args: [] })
      await parkInOutbox(at.database, message, new Date())
      let parked: Promise<void> | undefined
      await at.database.transaction(async (client) => {
        await client.query({ name: 'relay', text: 'DELETE FROM {schema}.outbox' })
        parked = parkInOutbox(at.database, message, new Date(Date.now() + 60_000))
        await delay(100)
      })
      await parked
      expect(await at.rows("SELECT due_at > now() + interval '50 seconds' AS later FROM $outbox")).toEqual([{ later: true }])
    })
  },
  { only: ['postgres'] },
)
