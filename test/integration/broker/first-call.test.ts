import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { createRegistry } from '../../../src/app/app.ts'
import { openBackend } from '../../../src/commands/open-backend.ts'
import { query } from '../../support/database.ts'
import { type GateMode, startStartupGate } from '../../support/startup-gate.ts'
import { onEveryBroker, type TaskFixture } from '../../support/task-worker.ts'

/** A program that sends tasks through a gate to its database. `warm`: it has sent one before, and its connections broke. */
async function program(at: TaskFixture, mode: GateMode, { warm = false, timeoutSeconds = 5 } = {}) {
  const gate = await startStartupGate(at.env.DATABASE_URL ?? '', warm ? 'open' : mode)
  const env = { ...at.env, DATABASE_URL: gate.url, PUBLISH_TIMEOUT: String(timeoutSeconds), LOG_LEVEL: 'silent' }
  const app = createRegistry(() => openBackend(env))
  onTestFinished(async () => {
    await gate.set('open')
    await app.close()
    await gate.close()
  })
  const send = async () => (await app.sendTask('tasks.echo', ['hi'])).id
  if (warm) {
    await send()
    await gate.set(mode)
    // The driver learns that its idle connections are gone.
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { gate, send }
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => ({ code: 'taken', message: '', hint: '' }),
    (error: { code: string; message: string; hint: string }) => error,
  )

const TRANSIENT: readonly [what: string, mode: GateMode][] = [
  ['refuses connections', 'refuse'],
  ['accepts and closes connections, as a proxy does', 'close'],
  ['closes connections during their start-up', 'startup'],
  ['has too many connections', { sqlstate: '53300' }],
  ['is still starting', { sqlstate: '57P03' }],
]

onEveryBroker('the first delay() of a process', (at) => {
  it.each(TRANSIENT)('waits while the database %s', async (_what, mode) => {
    const { gate, send } = await program(at, mode)
    const sending = send()
    setTimeout(() => void gate.set('open'), 600)
    expect(await sending).toMatch(/^[0-9a-f-]{36}$/)
  })

  it.each(TRANSIENT)('rejects with BROKER_UNREACHABLE after PUBLISH_TIMEOUT if the database %s', async (_what, mode) => {
    const { send } = await program(at, mode, { timeoutSeconds: 1 })
    const begun = performance.now()
    expect((await failure(send())).code).toBe('BROKER_UNREACHABLE')
    const tookMs = performance.now() - begun
    expect(tookMs).toBeGreaterThan(300)
    expect(tookMs).toBeLessThan(3000)
  })

  it.each(['28P01', '28000', '3D000', '42501'])('rejects at once with DATABASE_REFUSED after SQLSTATE %s', async (sqlstate) => {
    const { gate, send } = await program(at, { sqlstate })
    const error = await failure(send())
    expect(error).toMatchObject({ code: 'DATABASE_REFUSED', message: expect.stringContaining(`the gate answers ${sqlstate}`) })
    expect(error.hint).toContain('DATABASE_URL')
    expect(gate.attempts).toBe(1)
  })
})

describe('a later delay() with PostgreSQL as the broker', () => {
  onEveryBroker(
    'while no new connection can be opened',
    (at) => {
      it.each(TRANSIENT)('waits while the database %s', async (_what, mode) => {
        const { gate, send } = await program(at, mode, { warm: true })
        const sending = Promise.all([send(), send(), send()])
        setTimeout(() => void gate.set('open'), 600)
        const ids = await sending
        const stored = await query(
          inject('databaseUrl'),
          `SELECT count(*)::int AS stored FROM "${at.schema.schema}".message WHERE task_id = ANY ($1)`,
          [ids],
        )
        expect(stored).toEqual([{ stored: 3 }])
      })

      it('rejects with DATABASE_REFUSED if the password was changed', async () => {
        const { send } = await program(at, { sqlstate: '28P01' }, { warm: true })
        expect((await failure(send())).code).toBe('DATABASE_REFUSED')
      })
    },
    { only: ['postgres'] },
  )
})
