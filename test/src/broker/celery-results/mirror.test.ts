import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../../../src/app/outcome.ts'
import { createRedisMirror, type RedisMirrorOptions, resultDocument } from '../../../../src/broker/celery-results/mirror.ts'
import type { RedisConnection } from '../../../../src/broker/redis/connection.ts'
import { createLog } from '../../../../src/log.ts'
import { until } from '../../../support/until.ts'

const outcome = (id: string, more: Partial<Outcome> = {}): Outcome => ({
  ...{ id, task: 't', state: 'SUCCESS', result: '1', traceback: null, queue: 'q', retries: 0, startedAt: 1, doneAt: 2 },
  ...more,
})

/** A fake Redis that can be away, and stores documents. */
function createServer() {
  const server = { away: false, written: [] as string[], fault: undefined as ((key: string) => Error | undefined) | undefined }
  const connection = {
    closed: false,
    async ready() {
      if (server.away) throw new Error('Connection is closed')
    },
    async pipeline([command]: [[string, string, number, ...string[]]]) {
      const [, , count, ...rest] = command
      for (const key of rest.slice(0, count)) {
        const fault = server.fault?.(key)
        if (fault !== undefined) throw fault
      }
      server.written.push(...rest.slice(0, count))
    },
  } as unknown as RedisConnection
  return { server, connection }
}

function createMirror(more: Partial<RedisMirrorOptions> = {}) {
  const { server, connection } = createServer()
  const lines: string[] = []
  const log = createLog({ level: 'info', format: 'text' }, { write: (line: string) => void lines.push(line) })
  const mirror = createRedisMirror(connection, { ttlSeconds: 60, origin: 'o', log, apart: true, ...more })
  const write = (...ids: string[]) => mirror.of('w').write(ids.map((id) => ({ outcome: outcome(id), message: undefined })))
  return { server, lines, mirror, write }
}

describe('a result mirror apart from the broker', () => {
  it('delays acknowledgements while its server answers', async () => {
    const { server, write } = createMirror()
    await write('a', 'b')
    expect(server.written).toEqual(['celery-task-meta-a', 'celery-task-meta-b'])
  })

  it('delays no acknowledgement while its server is away, and writes all results in order when the server is back', async () => {
    const { server, write } = createMirror()
    server.away = true
    for (let at = 0; at < 300; at++) await write(`${at}`)
    expect(server.written).toEqual([])
    server.away = false
    await until('written', () => server.written.length === 300)
    expect(server.written).toEqual(Array.from({ length: 300 }, (_, at) => `celery-task-meta-${at}`))
  })

  it('drops the oldest results above the limit, and logs how many', async () => {
    const { server, lines, write } = createMirror()
    server.away = true
    await write('first')
    for (let at = 0; at < 11; at++) await write(...Array.from({ length: 1000 }, (_, each) => `${at}-${each}`))
    server.away = false
    await until('written', () => server.written.at(-1) === 'celery-task-meta-10-999')
    expect(server.written).not.toContain('celery-task-meta-first')
    expect(server.written.length).toBeLessThanOrEqual(10_000)
    await until('said', () => lines.some((line) => line.includes('were not mirrored')))
    expect(lines).toHaveLength(2)
    expect(lines[1]).toContain(`results=${11_001 - server.written.length}`)
  })

  it('logs the results that it could not write when it closes', async () => {
    const { server, lines, mirror, write } = createMirror()
    server.away = true
    await write('a')
    await mirror.close()
    expect(lines.at(-1)).toContain('results=1')
  })

  it('logs an error of the server once, and continues after the error', async () => {
    const { server, lines, write } = createMirror()
    server.fault = () => new Error('OOM command not allowed')
    await write('a')
    await until('said', () => lines.length > 0)
    server.fault = undefined
    await until('written', () => server.written.length === 1)
    expect(lines).toEqual([expect.stringContaining('OOM command not allowed')])
  })
})

describe('any result mirror', () => {
  it('skips a key of another type', async () => {
    const { server, lines, write } = createMirror({ apart: false })
    server.fault = (key) => (key.endsWith('bad') ? new Error('WRONGTYPE not a string') : undefined)
    await write('a', 'bad', 'b')
    expect(server.written).toEqual(['celery-task-meta-a', 'celery-task-meta-b'])
    expect(lines).toEqual([expect.stringContaining('id=bad')])
  })

  it("delays acknowledgements without a limit on the broker's own server", async () => {
    const { server, write } = createMirror({ apart: false })
    server.away = true
    const written = write('a')
    expect(await Promise.race([written.then(() => 'written'), until('', () => true).then(() => 'waiting')])).toBe('waiting')
    server.away = false
    await written
    expect(server.written).toEqual(['celery-task-meta-a'])
  })

  it('calls onWritten after a write, and repeats both steps if onWritten rejects', async () => {
    const told: string[] = []
    const { connection } = createServer()
    const mirror = createRedisMirror(connection, {
      ...{ ttlSeconds: 60, origin: 'o', apart: false },
      log: createLog({ level: 'silent', format: 'text' }, { write: () => {} }),
      async onWritten(_message, { id }) {
        told.push(id)
        if (told.length === 1) throw new Error('the broker does not take the body')
      },
    })
    const message = { headers: { id: 'a', task: 't' }, properties: {}, body: '[[],{},{}]', queue: 'q', priority: 0 }
    await mirror.of('w').write([
      { outcome: outcome('a', { state: 'STARTED', doneAt: null }), message },
      { outcome: outcome('a'), message },
      { outcome: outcome('b'), message: undefined },
    ])
    expect(told).toEqual(['a', 'a'])
  })
})

describe('resultDocument', () => {
  it.each<[string, Partial<Outcome>, object]>([
    ['for a success', {}, { status: 'SUCCESS', result: 1, date_done: '1970-01-01T00:00:00.002000+00:00' }],
    [
      'for a running task',
      { state: 'STARTED', result: null, doneAt: null },
      { result: { pid: process.pid, hostname: 'w' }, date_done: null },
    ],
    [
      'for a failure',
      { state: 'FAILURE', result: '{"exc_type":"E"}', traceback: 'a\n"b"' },
      { result: { exc_type: 'E' }, traceback: 'a\n"b"' },
    ],
  ])("returns Celery's document %s", (_name, more, expected) => {
    const document = JSON.parse(resultDocument(outcome('i', more), { worker: 'w', origin: 'mine' }))
    expect(document).toMatchObject({ children: [], task_id: 'i', origin: 'mine', ...expected })
  })
})
